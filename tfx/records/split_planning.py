"""Combines statistics of rows or documents on Beam's workers, from which a split is planned."""

from collections.abc import Iterable

import apache_beam as beam

from kerasbert.data import SplitStatistics


class SplitPlanning(beam.CombineFn):
    """Merges `SplitStatistics`. A subclass says what an input adds, and what plan the statistics give."""

    def create_accumulator(self) -> SplitStatistics:
        """Returns empty statistics."""
        return SplitStatistics()

    def merge_accumulators(self, statistics: Iterable[SplitStatistics]) -> SplitStatistics:
        """Returns the statistics of several workers together."""
        merged = SplitStatistics()
        for part in statistics:
            merged.merge(part)
        return merged
