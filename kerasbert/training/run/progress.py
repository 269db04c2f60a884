"""Shows the progress of a run on standard error: a bar in a terminal, otherwise a plain line now and then."""

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

_SHOWN = (
    "loss",
    "masked_lm_accuracy",
    "next_sentence_accuracy",
    "accuracy",
    "macro_f1",
    "micro_f1",
    "mean_absolute_error",
)
_WORDS = {
    "masked_lm_accuracy": "masked-LM accuracy",
    "next_sentence_accuracy": "NSP accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "mean_absolute_error": "mean absolute error",
}


class Progress:
    """Shows the step, metrics, tokens per second (without padding) and the time left.

    Args:
        total: total number of steps.
        initial: steps that were done before this run continued.
        is_shown: False shows nothing.
        stream: where to write. Defaults to standard error.
        seconds_between_lines: seconds between two plain lines, if the stream is not a terminal.
    """

    def __init__(
        self,
        total: int,
        initial: int = 0,
        is_shown: bool = True,
        stream: TextIO | None = None,
        seconds_between_lines: float = 10.0,
    ):
        self._stream = sys.stderr if stream is None else stream
        self._is_shown = is_shown
        self._total = total
        self._initial = self._step = initial
        self._seconds_between_lines = seconds_between_lines
        self._start = self._last_line = time.monotonic()
        self._tokens = 0
        self._bar = None
        if is_shown and self._stream.isatty():
            self._bar = tqdm(total=total, initial=initial, file=self._stream, unit="step", dynamic_ncols=True)

    def update(self, step: int, phase: str, metrics: Mapping[str, float], tokens: int) -> None:
        """Show that a step is done: its number, the running metrics, and its number of tokens."""
        self._tokens += tokens
        now = time.monotonic()
        if self._bar is not None:
            self._bar.set_description(phase, refresh=False)
            self._bar.set_postfix_str(", ".join(self._words(metrics, now)), refresh=False)
            self._bar.update(step - self._step)
        self._step = step
        is_due = now - self._last_line >= self._seconds_between_lines or step == self._total
        if self._bar is None and self._is_shown and is_due:
            self._last_line = now
            self.say(f"{phase}: step {step}/{self._total}, {', '.join(self._words(metrics, now))}, {self._left(now)}")

    def say(self, line: str) -> None:
        """Show a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        elif self._is_shown:
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def tokens_per_second(self) -> float:
        """Return the tokens per second (without padding) since this process began training."""
        return self._tokens / max(time.monotonic() - self._start, 1e-9)

    def _words(self, metrics: Mapping[str, float], now: float) -> list[str]:
        """Return the metrics that are shown."""
        words = metrics_in_words(metrics)
        if self._tokens:
            words.append(f"{self._tokens / max(now - self._start, 1e-9):,.0f} tokens/s")
        return words

    def _left(self, now: float) -> str:
        """Return the time left, from the mean time of a step in this process."""
        done = max(self._step - self._initial, 1)
        seconds = (now - self._start) / done * (self._total - self._step)
        return f"{tqdm.format_interval(seconds)} left"


def metrics_in_words(metrics: Mapping[str, float]) -> list[str]:
    """Return the metrics that are shown on a line, e.g. "NSP accuracy 0.750"."""
    return [f"{_WORDS.get(name, name)} {metrics[name]:.3f}" for name in _SHOWN if name in metrics]
