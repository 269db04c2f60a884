"""What a word's tag says: which kind of entity the word is in, and whether the entity begins or ends there.

The one reading of the schemes IO, BIO, BIOES and BILOU and of bare kinds, for exported models and their evaluation
alike. How tags are joined into entities: see served_token_classifier.py (a graph) and recipes/token_classification.py.
"""

# The prefixes that begin an entity, and those after which another one begins.
BEGINS = ("B", "S", "U")
FINISHES = ("E", "S", "L", "U")
INSIDE = "I"


def parsed_tag(tag: str) -> tuple[str, str]:
    """Prefix and kind, with "" for no prefix; a dash after anything but a prefix is part of the kind.

    Example:
        >>> parsed_tag("B-creative-work"), parsed_tag("location-GPE"), parsed_tag("O")
        (('B', 'creative-work'), ('', 'location-GPE'), ('', 'O'))
    """
    prefix, _, kind = tag.partition("-")
    return (prefix, kind) if kind and prefix in (INSIDE, *BEGINS, *FINISHES) else ("", tag)
