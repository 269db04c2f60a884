"""Turns a checkpoint of one layout into one of another, and proves by numbers that both are the same model."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from kerasbert.checkpoints.loading import Checkpoint, load
from kerasbert.checkpoints.model_comparison import differing_weights, largest_differences
from kerasbert.checkpoints.saving import save
from kerasbert.errors import BadInputError


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What was converted, and how far the two are apart.

    Attributes:
        source, destination: the two paths.
        source_format, format: their layouts.
        model: the class of the model.
        num_weights: how many weights were compared, and found the same bit for bit.
        differences: the largest absolute difference of outputs on a fixed input, by layer and head, between the source
            and the destination as loaded back.
        absent: parts that the source does not have; they are not in the destination either.
        dropped: names of weights of the source that were left behind.
    """

    source: str
    destination: str
    source_format: str
    format: str
    model: str
    num_weights: int
    differences: dict[str, float]
    absent: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def largest_difference(self) -> float:
        """The largest of all differences."""
        return max(self.differences.values())

    def __str__(self) -> str:
        """The report as a small table."""
        width = max(map(len, self.differences))
        lines = [
            f"{self.source} ({self.source_format}) -> {self.destination} ({self.format}): {self.model}",
            f"{self.num_weights} weights compared: the same bit for bit",
            "Largest difference on a fixed input, source against destination loaded back:",
            *(f"  {name:<{width}}  {value:.1e}" for name, value in self.differences.items()),
        ]
        if self.absent:
            lines.append(f"Not in the source, and not written: {', '.join(self.absent)}")
        if self.dropped:
            lines.append(f"Left behind: {', '.join(self.dropped)}")
        return "\n".join(lines)


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    format: str = "hugging_face",
    progress: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Loads a checkpoint of any layout and writes it in another one. The new folder is loaded back and compared first.

    Args:
        source: what `load` takes.
        destination: the new folder, as for `save`.
        format: the layout to write, as for `save`.
        progress: called with a few words before each of the four steps: reading, writing, reading back, comparing.

    Returns:
        The report with the numeric proof.

    Raises:
        BadInputError: source or destination cannot be used, or the layout cannot hold the model. Nothing is written.
        OSError: the disk is full or the folder cannot be written.
    """
    place, old_place = Path(destination).resolve(), Path(source).resolve()
    if place in (old_place, *old_place.parents):
        raise BadInputError(
            f"The destination must not be or hold the source. Received: source={source}, destination={destination}. "
            "Name another folder."
        )
    show = progress or (lambda step: None)
    show("Reading the source")
    loaded = load(source)
    found: list[ConversionReport] = []

    def prove(folder: Path) -> None:
        show("Reading the destination")
        written = load(folder)
        show("Comparing")
        found.append(_report(loaded, written, str(source), str(destination), format))

    show("Writing the destination")
    save(loaded.model, destination, loaded.text_to_inputs, loaded.labels, format, check=prove)
    return found[0]


def _report(old: Checkpoint, new: Checkpoint, source: str, destination: str, format: str) -> ConversionReport:
    """Compares two models and what came with them, and refuses any difference in weights or config."""
    differing = differing_weights(old.model, new.model)
    if differing or old.config != new.config or old.labels != new.labels:
        raise BadInputError(
            f"{destination}: the destination must hold the same model as the source. Received: other weights "
            f"{differing[:10]}, {new.config} instead of {old.config}, labels {new.labels}. Choose another format."
        )
    return ConversionReport(
        source=source,
        destination=destination,
        source_format=old.source_format,
        format=format,
        model=type(old.model).__name__,
        num_weights=sum("seed_generator" not in variable.path for variable in old.model.weights),
        differences=largest_differences(old.model, new.model),
        absent=old.absent,
        dropped=old.dropped,
    )
