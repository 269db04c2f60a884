"""Removes what wrappers add to weight names: `module.` (DataParallel), `_orig_mod.` (torch.compile), any other prefix.

The weight table (`weight_names.py`) knows a weight by its plain name. A model that was saved inside a wrapper, or as an
attribute of another model, has the same weights under longer names.
"""

from collections.abc import Iterable

from kerasbert.errors import BadInputError

# Modules that contain a module without changing what it computes. They may be anywhere in a name.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# For each format: the separator, a weight that every encoder has, and what precedes it in a model with heads.
_FORMS = {
    "hugging_face": (".", "embeddings.word_embeddings.weight", "bert."),
    "google_tf1": ("/", "bert/embeddings/word_embeddings", ""),
}


def unwrapped_names(names: Iterable[str], format: str, origin: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Finds the plain name of each weight.

    Args:
        names: The names in the files.
        format: "hugging_face" or "google_tf1".
        origin: The files, for messages.

    Returns:
        The plain name of each weight by its name in the files, and the prefixes that were removed.

    Raises:
        BadInputError: There is more than one encoder, or two weights have the same plain name.

    Example:
        >>> names = ["module.bert.embeddings.word_embeddings.weight", "module.classifier.bias"]
        >>> plain, removed = unwrapped_names(names, "hugging_face", "model.safetensors")
        >>> list(plain.values()), removed
        (['bert.embeddings.word_embeddings.weight', 'classifier.bias'], ('module.',))
    """
    separator = _FORMS[format][0]
    plain: dict[str, str] = {}
    removed: set[str] = set()
    for name in names:
        steps = name.split(separator)
        removed |= {step + separator for step in steps[:-1] if step in _WRAPPERS}
        plain[name] = separator.join(step for step in steps if step not in _WRAPPERS)
    prefix = _outer_prefix(plain.values(), format, origin)
    plain = {name: short.removeprefix(prefix) for name, short in plain.items()}
    _check_different(plain, origin)
    return plain, (*sorted(removed), *([prefix] if prefix else []))


def removed_prefixes_note(removed: tuple[str, ...]) -> tuple[str, ...]:
    """What to tell the user about prefixes that were removed: one sentence, or nothing."""
    return (f"The names of the weights are read without {', '.join(map(repr, removed))}.",) if removed else ()


def _outer_prefix(names: Iterable[str], format: str, origin: str) -> str:
    """What precedes the names of the encoder beyond what the format itself puts there."""
    separator, embedding, encoder = _FORMS[format]
    prefixes = set()
    for name in names:
        prefix = name.removesuffix(embedding)
        if prefix == name or (prefix and not prefix.endswith(separator)):
            continue
        is_in_model = encoder and (prefix == encoder or prefix.endswith(separator + encoder))
        prefixes.add(prefix.removesuffix(encoder) if is_in_model else prefix)
    if len(prefixes) > 1:
        raise BadInputError(
            f"{origin}: the weights must be those of one encoder. Received: {len(prefixes)} encoders, whose names "
            f"begin with {', '.join(map(repr, sorted(prefixes)))}. Save the weights of one of them to its own folder."
        )
    return prefixes.pop() if prefixes else ""


def _check_different(plain: dict[str, str], origin: str) -> None:
    """Refuses two weights with the same plain name."""
    first: dict[str, str] = {}
    for name, short in plain.items():
        if short in first:
            raise BadInputError(
                f"{origin}: each weight must be in the file once. Received: {first[short]!r} and {name!r}, which are "
                "the same weight with and without a prefix. Remove one of them and save the file again."
            )
        first[short] = name
