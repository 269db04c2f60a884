"""Splits documents into training and held-out text, in the same way for the command and the pipeline.

A hash of each document decides (`is_held_out`). A plan (see split_plan.py) then corrects small corpora, because
next-sentence prediction needs two documents on either side to draw a random sentence from another document.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kerasbert.data.split_plan import MOST_COUNTED_ROWS, SplitPlan, SplitStatistics
from kerasbert.data.stable_split import POSITIONS, document_position

_LEAST_DOCUMENTS = 2
# A document of one sentence has no next sentence, so it does not count.
_LEAST_SENTENCES = 2


@dataclass(frozen=True)
class DocumentSplit:
    """Which documents are for training and which are held out.

    Attributes:
        plan: The plan.

    Example:
        >>> documents = [["One.", "Two."], ["Three.", "Four."], ["Five.", "Six."], ["Seven.", "Eight."]]
        >>> split = DocumentSplit.of(document_statistics(documents), 0.1)
        >>> [split.parts_of(document) for document in documents]
        [('train',), ('held_out',), ('train',), ('held_out',)]
    """

    plan: SplitPlan

    @classmethod
    def of(cls, statistics: SplitStatistics, held_out_share: float) -> "DocumentSplit":
        """Plans the split.

        Args:
            statistics: What `document_statistics` returns for all documents.
            held_out_share: The share of documents that is held out, between 0 and 1.
        """
        return cls(statistics.plan({"train": 1 - held_out_share, "held_out": held_out_share}, _LEAST_DOCUMENTS))

    @property
    def note(self) -> str | None:
        """What a user should know about the split, or None."""
        return self.plan.note

    def parts_of(self, document: Sequence[str]) -> tuple[str, ...]:
        """The parts of a document: "train", "held_out", or both if there are fewer than four documents."""
        return self.plan.parts_at(_position(document))


def document_statistics(documents: Iterable[Sequence[str]]) -> SplitStatistics:
    """Counts documents for `DocumentSplit.of`. Statistics of several corpora can be merged.

    Args:
        documents: The sentences of each document. The rest of a corpus whose documents are many is not read, because
            its hashes alone meet the share closely enough.
    """
    statistics = SplitStatistics()
    counted = (document for document in documents if len(document) >= _LEAST_SENTENCES)
    for document in itertools.islice(counted, MOST_COUNTED_ROWS + 1):
        statistics.add_at(_position(document))
    return statistics


def _position(document: Sequence[str]) -> int:
    """The place of a document in the plan, whose held-out part comes last: lower hashes are held out first."""
    return POSITIONS - 1 - document_position(document)
