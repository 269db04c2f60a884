"""Counters and histograms with TensorFlow Serving's names, and the page that Prometheus reads.

As on TensorFlow Serving's page, names have TensorFlow's form (`:tensorflow:serving:request_count`), and there are no
HELP lines.
"""

import threading
from bisect import bisect_left
from dataclasses import dataclass, field

# The maximum number of label combinations per metric. Clients choose the model names in requests, so it must be
# limited.
MAX_CELLS = 1000

LATENCY_BUCKETS = tuple(10 * 1.8**power for power in range(33))
COUNT_BUCKETS = tuple(2.0**power for power in range(15))


@dataclass
class Counter:
    """A number that only increases, for each combination of labels."""

    name: str
    labels: tuple[str, ...]
    cells: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, values: tuple[str, ...], amount: float) -> None:
        """Increases the counter for these label values."""
        if values in self.cells or len(self.cells) < MAX_CELLS:
            self.cells[values] = self.cells.get(values, 0) + int(amount)

    def lines(self) -> list[str]:
        """Formats the metric in Prometheus' text format, line by line."""
        name = _metric_name(self.name)
        return [f"# TYPE {name} counter"] + [
            f"{name}{{{_labels(self.labels, values)}}} {count}" for values, count in sorted(self.cells.items())
        ]


@dataclass
class Histogram:
    """The number of values in each bucket, for each combination of labels."""

    name: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = field(default_factory=dict)

    def add(self, values: tuple[str, ...], amount: float) -> None:
        """Records a value for these label values."""
        if values not in self.cells:
            if len(self.cells) >= MAX_CELLS:
                return
            self.cells[values] = ([0] * (len(self.buckets) + 1), [0.0])
        counts, total = self.cells[values]
        # As in TensorFlow's histograms, a value equal to a limit belongs to the bucket above it.
        counts[bisect_left(self.buckets, amount) + (amount in self.buckets)] += 1
        total[0] += amount

    def lines(self) -> list[str]:
        """Formats the metric in Prometheus' text format, line by line."""
        name = _metric_name(self.name)
        lines = [f"# TYPE {name} histogram"]
        for values, (counts, total) in sorted(self.cells.items()):
            labels = _labels(self.labels, values)
            cumulative = 0
            for limit, count in zip([*(f"{bucket:g}" for bucket in self.buckets), "+Inf"], counts, strict=True):
                cumulative += count
                lines.append(f'{name}_bucket{{{labels}{"," if labels else ""}le="{limit}"}} {cumulative}')
            lines.append(f"{name}_sum{{{labels}}} {total[0]:g}")
            lines.append(f"{name}_count{{{labels}}} {cumulative}")
        return lines


class Metrics:
    """The metrics of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        prefix = "/tensorflow/serving/"
        self._request_count = Counter(prefix + "request_count", ("model_name", "status"))
        self._request_latency = Histogram(
            prefix + "request_latency", ("model_name", "API", "entrypoint"), LATENCY_BUCKETS
        )
        self._runtime_latency = Histogram(prefix + "runtime_latency", ("model_name", "API", "runtime"), LATENCY_BUCKETS)
        self._example_counts = Histogram(prefix + "request_example_counts", ("model",), COUNT_BUCKETS)
        self._example_count_total = Counter(prefix + "request_example_count_total", ("model",))
        self._warmup_latency = Histogram(prefix + "model_warmup_latency", ("model_path", "status"), LATENCY_BUCKETS)
        self._warmup_records = Counter(prefix + "model_warmup_records_read", ("model_path", "status"))
        self._load_attempts = Counter("/tensorflow/cc/saved_model/load_attempt_count", ("model_path", "status"))

    def request(self, model: str, status: str) -> None:
        """Counts a request by its status."""
        self._add((self._request_count, (model, status), 1))

    def request_took(self, model: str, api: str, entrypoint: str, seconds: float) -> None:
        """Records the duration of a successful request."""
        self._add((self._request_latency, (model, api, entrypoint), seconds * 1e6))

    def run_took(self, model: str, api: str, seconds: float) -> None:
        """Records the time from queueing a run to its end."""
        self._add((self._runtime_latency, (model, api, "TF1"), seconds * 1e6))

    def examples(self, model: str, count: int) -> None:
        """Records the number of examples in a multi-inference request."""
        self._add((self._example_counts, (model,), count), (self._example_count_total, (model,), count))

    def warmed_up(self, path: str, status: str, records: int, seconds: float) -> None:
        """Records a warm-up."""
        self._add(
            (self._warmup_latency, (path, status), seconds * 1e6), (self._warmup_records, (path, status), records)
        )

    def load(self, path: str, status: str) -> None:
        """Counts an attempt to load a version."""
        self._add((self._load_attempts, (path, status), 1))

    def value(self, name: str) -> int:
        """Returns the first value of the counter with this name, or 0."""
        with self._lock:
            for metric in vars(self).values():
                if isinstance(metric, Counter) and metric.name == name:
                    return next(iter(metric.cells.values()), 0)
        return 0

    def page(self) -> str:
        """Formats all metrics in Prometheus' text format."""
        with self._lock:
            metrics = [value for value in vars(self).values() if isinstance(value, (Counter, Histogram))]
            metrics.sort(key=lambda metric: metric.name)
            return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"

    def _add(self, *additions: tuple) -> None:
        with self._lock:
            for metric, values, amount in additions:
                metric.add(values, amount)


def _metric_name(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char == "_") else ":" for char in name)


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(
        '{}="{}"'.format(name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for name, value in zip(names, values, strict=True)
    )
