"""Precision, recall and F1 of entities, from the tags of words. For how pieces become words, see
`kerasbert.recipes.token_classification`.

The default reading of tags is lenient: an entity may begin with `I-`. It is that of conlleval, of seqeval and of
exported models. The strict reading is seqeval's `mode="strict"`: only complete entities of the scheme count.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kerasbert.data.tables.tag_scheme import BEGINS, FINISHES, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE

Span = tuple[int, int, str]


def spans(tags: Sequence[str]) -> list[Span]:
    """Return the entities of a sequence of tags: first word, word after the last one, kind.

    Neighbors of the same kind are one entity, unless a prefix marks a beginning or an end, as in the answers of an
    exported model (see kerasbert/data/tables/tag_scheme.py).

    Source: conlleval, and seqeval's `get_entities`.

    Example:
        >>> spans(["O", "B-place", "I-place", "B-place", "I-person"])
        [(1, 3, 'place'), (3, 4, 'place'), (4, 5, 'person')]
    """
    found: list[Span] = []
    before = ("", OUTSIDE)
    for position, tag in enumerate(tags):
        prefix, kind = parsed_tag(tag)
        if kind == before[1] != OUTSIDE and prefix not in BEGINS and before[0] not in FINISHES:
            found[-1] = (found[-1][0], position + 1, kind)
        elif kind != OUTSIDE:
            found.append((position, position + 1, kind))
        before = (prefix, kind)
    return found


def strict_spans(tags: Sequence[str], labels: Iterable[str]) -> list[Span]:
    """Return the entities of a sequence of tags that are complete in the scheme of the labels.

    In BIO, an entity begins with `B-`. In BIOES and BILOU, it is one `S-` (`U-`), or begins with `B-` and ends with
    `E-` (`L-`). Labels without prefixes, or only with `I-`, have no incomplete entities.

    Args:
        tags: the tags of the words.
        labels: all labels of the task, which tell the scheme.

    Source: seqeval, `scheme.py` (IOB2, IOE2, IOBES, BILOU).

    Example:
        >>> strict_spans(["I-place", "O", "B-place", "I-place"], ["B-place", "I-place", "O"])
        [(2, 4, 'place')]
    """
    prefixes = {parsed_tag(label)[0] for label in labels}
    parsed = [parsed_tag(tag) for tag in tags]
    found = spans(tags)
    if prefixes & {*BEGINS}:
        found = [span for span in found if parsed[span[0]][0] in BEGINS]
    if prefixes & {*FINISHES}:
        found = [span for span in found if parsed[span[1] - 1][0] in FINISHES]
    return found


def entity_metrics(
    true: Sequence[Sequence[str]], found: Sequence[Sequence[str]], labels: Iterable[str], strict: bool = False
) -> dict[str, Any]:
    """Return the metrics of seqeval: an entity is correct if its kind, its start and its end are correct.

    Args:
        true: the true tags of the words of each text.
        found: the predicted tags.
        labels: all labels of the task.
        strict: whether only complete entities count, as in seqeval's `mode="strict"`.

    Returns:
        `precision`, `recall`, `f1` (all over the entities of all kinds) and `per_entity` (kind -> `precision`,
        `recall`, `f1`, `support`).

    Source: seqeval, `classification_report` (its micro average and its rows).

    Example:
        >>> labels = ["B-place", "I-place", "O"]
        >>> metrics = entity_metrics([["B-place", "O"]], [["I-place", "I-place"]], labels)
        >>> metrics["f1"], metrics["per_entity"]["place"]["support"]
        (0.0, 1)
    """
    labels = list(labels)
    read: Callable[[Sequence[str]], list[Span]] = (lambda tags: strict_spans(tags, labels)) if strict else spans
    counts = [Counter[str]() for _ in range(3)]  # correct, found and true entities by kind
    for true_tags, found_tags in zip(true, found, strict=True):
        both = set(read(true_tags)), set(read(found_tags))
        for counter, chosen in zip(counts, (both[0] & both[1], both[1], both[0]), strict=True):
            counter.update(kind for _, _, kind in chosen)
    correct, predicted, support = counts
    per_entity = {
        kind: _scores(correct[kind], predicted[kind], support[kind]) | {"support": support[kind]}
        for kind in sorted({*predicted, *support})
    }
    return {**_scores(correct.total(), predicted.total(), support.total()), "per_entity": per_entity}


def _scores(correct: int, predicted: int, support: int) -> dict[str, float]:
    """Return precision, recall and F1, which are 0 where they are not defined."""
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / support if support else 0.0,
        "f1": 2 * correct / (predicted + support) if predicted or support else 0.0,
    }
