"""Converts a checkpoint from one layout to another, and proves that both are the same model."""

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
    """What was converted, and how much the outputs differ.

    Attributes:
        source: The path of the source.
        destination: The path of the destination.
        source_format: The layout of the source.
        format: The layout of the destination.
        model: The class of the model.
        num_weights: The number of weights that were compared; all are bit-identical.
        differences: The largest absolute difference of each layer's and head's output on a fixed input, between the
            source and the destination as loaded back.
        absent: Parts that neither the source nor the destination has.
        dropped: Names of weights in the source that are not in the destination.
        notes: Oddities of the source that change no number.

    Example:
        >>> report = ConversionReport(
        ...     "a", "b", "hugging_face", "google_tf1", "BertBackbone", 23, {"pooled_output": 0.0}, (), (), ()
        ... )
        >>> print(report)
        a (hugging_face) -> b (google_tf1): BertBackbone
        23 weights compared: bit-identical
        Largest difference on a fixed input between the source and the destination:
          pooled_output  0.0e+00
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
    notes: tuple[str, ...]

    @property
    def largest_difference(self) -> float:
        """The largest difference of all layers and heads."""
        return max(self.differences.values())

    def __str__(self) -> str:
        """Returns the report as a small table."""
        width = max(map(len, self.differences))
        lines = [
            f"{self.source} ({self.source_format}) -> {self.destination} ({self.format}): {self.model}",
            f"{self.num_weights} weights compared: bit-identical",
            "Largest difference on a fixed input between the source and the destination:",
            *(f"  {name:<{width}}  {value:.1e}" for name, value in self.differences.items()),
        ]
        if self.absent:
            lines.append(f"Not in the source, and not written: {', '.join(self.absent)}")
        if self.dropped:
            lines.append(f"In the source only: {', '.join(self.dropped)}")
        lines.extend(self.notes)
        return "\n".join(lines)


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    format: str = "hugging_face",
    progress: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Converts a checkpoint to another layout.

    The new folder is loaded back and compared with the source before it is put in place.

    Args:
        source: The checkpoint to read, in any layout. See `load`.
        destination: The folder to write. See `save`.
        format: The layout to write. See `save`.
        progress: Called with a short description before each of the four steps.

    Returns:
        A report with the number of compared weights and the differences of outputs.

    Raises:
        BadInputError: The source or the destination cannot be used, or the layout cannot represent the model.
            Nothing is written.
        OSError: The disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from kerasbert.checkpoints import save
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> source = save(BertBackbone.from_config(config), tempfile.mkdtemp())
        >>> report = convert(source, tempfile.mkdtemp(), "google_tf1")
        >>> report.num_weights, report.largest_difference
        (23, 0.0)
    """
    place, old_place = Path(destination).resolve(), Path(source).resolve()
    if place in (old_place, *old_place.parents):
        raise BadInputError(
            "`destination` must not be the source or a folder that contains it. "
            f"Received: source={source}, destination={destination}. Choose another destination."
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
    """Compares two checkpoints, and refuses any difference in weights, config or labels."""
    differing = differing_weights(old.model, new.model)
    if differing or old.config != new.config or old.labels != new.labels:
        raise BadInputError(
            f"{destination}: the destination must be the same model as the source. Received: other weights "
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
        notes=old.notes,
    )
