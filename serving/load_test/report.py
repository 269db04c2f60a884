"""The results of a load test: latencies, throughput and errors, as numbers, as text and as JSON."""

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasbert_serving.load_test.load import Load

PERCENTILES = (50, 75, 90, 95, 99, 99.9)


@dataclass(frozen=True)
class Sample:
    """One request. Times are in seconds since the start.

    Attributes:
        due: When it should have been sent.
        sent: When it was sent.
        done: When its reply, or its error, was there.
        error: The kind of error, or None.
    """

    due: float
    sent: float
    done: float
    error: str | None

    @property
    def latency(self) -> float:
        """Seconds from the moment it was due to the answer."""
        return self.done - self.due


@dataclass(frozen=True)
class Report:
    """The results of a load test.

    Attributes:
        load: What was sent.
        samples: The requests, in the order of their replies.
        seconds: Duration until the last reply.
        mean_characters: Mean length of the texts.
        hint: What to tell the user if requests failed, e.g. which proxy was used.
    """

    load: "Load"
    samples: list[Sample] = field(repr=False)
    seconds: float
    mean_characters: float
    hint: str = ""

    @property
    def answered(self) -> int:
        """Number of requests that were answered."""
        return sum(sample.error is None for sample in self.samples)

    @property
    def errors(self) -> dict[str, int]:
        """Number of errors of each kind, the most frequent first."""
        return dict(Counter(sample.error for sample in self.samples if sample.error is not None).most_common())

    def latencies(self) -> list[float]:
        """Return the latencies of the answered requests in seconds, sorted."""
        return sorted(sample.latency for sample in self.samples if sample.error is None)

    def to_dict(self) -> dict[str, Any]:
        """Return all metrics. Latencies are in milliseconds."""
        load = {name: value for name, value in asdict(self.load).items() if name != "texts"}
        latencies = self.latencies()
        lags = sorted(sample.sent - sample.due for sample in self.samples)
        metrics = {f"p{percent:g}": _milliseconds(percentile(latencies, percent)) for percent in PERCENTILES}
        if latencies:
            metrics["mean"] = _milliseconds(sum(latencies) / len(latencies))
            metrics["max"] = _milliseconds(latencies[-1])
        return {
            "loop": "closed" if self.load.rate is None else "open",
            "load": load,
            "mean_characters": round(self.mean_characters, 1),
            "seconds": round(self.seconds, 3),
            "requests": len(self.samples),
            "answered": self.answered,
            "requests_per_second": round(self.answered / self.seconds, 2),
            "texts_per_second": round(self.answered * self.load.batch_size / self.seconds, 2),
            "latency_ms": metrics,
            # If this is large, the sending machine was too slow, and the metrics say little about the server.
            "sent_late_ms": {"p99": _milliseconds(percentile(lags, 99))},
            "errors": self.errors,
        }

    def to_json(self) -> str:
        """Return the metrics as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        metrics = self.to_dict()
        lines = [
            f"{metrics['answered']} of {metrics['requests']} requests answered in {metrics['seconds']:g} s: "
            f"{metrics['requests_per_second']:g} requests/s"
        ]
        for name, value in metrics["latency_ms"].items():
            lines.append(f"  {name:<6}{'–' if value is None else f'{value:.2f} ms':>12}")
        lines.extend(f"  {count} errors: {kind}" for kind, count in metrics["errors"].items())
        if metrics["errors"] and self.hint:
            lines.append(self.hint.strip())
        return "\n".join(lines)


def percentile(ordered: list[float], percent: float) -> float | None:
    """Return the smallest value that at least `percent` percent of the sorted values do not exceed.

    Args:
        ordered: Values in ascending order.
        percent: A number from 0 to 100.

    Returns:
        The value, or None if there are no values.

    Example:

    >>> [percentile([1, 2, 3, 4], percent) for percent in (50, 75, 99.9)]
    [2, 3, 4]
    """
    if not ordered:
        return None
    return ordered[max(math.ceil(len(ordered) * percent / 100 - 1e-9), 1) - 1]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
