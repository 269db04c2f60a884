"""Parses a word's tag: the kind of its entity, and whether the entity begins or ends at the word.

Exported models and their evaluation both use this reading of the schemes IO, BIO, BIOES and BILOU and of kinds without
prefixes. For how tags are joined into entities, see export/served/token_classifier.py (a graph) and
recipes/token_classification.py.
"""

# The prefixes that begin an entity, and those that end one.
BEGINS = ("B", "S", "U")
FINISHES = ("E", "S", "L", "U")
INSIDE = "I"


def parsed_tag(tag: str) -> tuple[str, str]:
    """Returns prefix and kind, with "" for no prefix. A dash after anything but a prefix is part of the kind.

    Example:
        >>> parsed_tag("B-creative-work"), parsed_tag("location-GPE"), parsed_tag("O")
        (('B', 'creative-work'), ('', 'location-GPE'), ('', 'O'))
    """
    prefix, _, kind = tag.partition("-")
    return (prefix, kind) if kind and prefix in (INSIDE, *BEGINS, *FINISHES) else ("", tag)
