"""Uploads the scalars of TensorBoard's event files to a run of a Vertex AI TensorBoard instance.

The client's own uploader needs packages that fix the version of TensorBoard, and makes a run of every sub-folder. Here,
the curves of training and validation are time series of one run: `train/loss`, `validation/loss`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.util import event_pb2

from kerasbert_tfx.vertex.client import Vertex, message

# The API allows 5,000.
_POINTS_PER_REQUEST = 1000


class Point(NamedTuple):
    """A value of a curve."""

    step: int
    value: float
    wall_time: float


def read_curves(folder: str) -> dict[str, list[Point]]:
    """Reads the scalars below a folder. Names begin with the sub-folder, e.g. `train/loss`.

    Args:
        folder: The folder, on any file system. A missing one has no curves.
    """
    # After a run was resumed, a later file repeats steps of an earlier one: the later value counts.
    curves: dict[str, dict[int, Point]] = {}
    for place, name in _event_files(folder.rstrip("/")):
        prefix = place.removeprefix(folder.rstrip("/")).strip("/")
        for event in _events(f"{place}/{name}"):
            for value in event.summary.value:
                if (number := _scalar(value)) is not None:
                    curve = curves.setdefault(f"{prefix}/{value.tag}".strip("/"), {})
                    point = Point(event.step, number, event.wall_time)
                    curve[event.step] = max(curve.get(event.step, point), point, key=lambda point: point.wall_time)
    return {name: [curve[step] for step in sorted(curve)] for name, curve in sorted(curves.items())}


def upload_curves(curves: Mapping[str, Sequence[Point]], run: str, place: Vertex) -> int:
    """Writes curves to a run, creating the time series that it lacks.

    Args:
        curves: Name -> points.
        run: The run's full name, ending in tensorboards/T/experiments/E/runs/R.
        place: Project and region.

    Returns:
        The number of points. A step that an earlier attempt has written is overwritten.
    """
    service = place.service("TensorboardService")
    existing = {series.display_name: series for series in service.list_tensorboard_time_series({"parent": run})}
    total = 0
    for name, points in curves.items():
        series = existing.get(name) or service.create_tensorboard_time_series(
            {"parent": run, "tensorboard_time_series": {"display_name": name, "value_type": "SCALAR"}}
        )
        for start in range(0, len(points), _POINTS_PER_REQUEST):
            data = message(
                "TimeSeriesData",
                tensorboard_time_series_id=series.name.rpartition("/")[2],
                value_type="SCALAR",
                values=[_data_point(point) for point in points[start : start + _POINTS_PER_REQUEST]],
            )
            service.write_tensorboard_run_data({"tensorboard_run": run, "time_series_data": [data]})
        total += len(points)
    return total


def _event_files(folder: str) -> Iterator[tuple[str, str]]:
    """Yields folder and name of each event file."""
    if not tf.io.gfile.isdir(folder):
        return
    for place, _, names in tf.io.gfile.walk(folder):
        for name in sorted(names):
            if "tfevents" in name:
                yield place.rstrip("/"), name


def _events(path: str) -> Iterator[event_pb2.Event]:
    """Yields the complete events of a file. The last one of a killed run may be cut off."""
    try:
        for record in tf.data.TFRecordDataset(path):
            yield event_pb2.Event.FromString(record.numpy())
    except tf.errors.DataLossError:
        return


def _scalar(value: Any) -> float | None:
    """Returns the number in a summary, or None if it is something else, e.g. an image."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor":
        return None
    array = tf.make_ndarray(value.tensor)
    return float(array) if array.ndim == 0 and array.dtype.kind in "fiu" else None


def _data_point(point: Point) -> Any:
    """Returns a point as a message."""
    seconds = int(point.wall_time)
    nanos = int((point.wall_time - seconds) * 1e9)
    return message(
        "TimeSeriesDataPoint",
        step=point.step,
        wall_time={"seconds": seconds, "nanos": nanos},
        scalar={"value": point.value},
    )
