"""Decides when to retry a request: only after UNAVAILABLE, after random pauses of increasing length.

A pause is drawn uniformly between zero and a limit that grows exponentially ("full jitter"), so that clients that
failed at the same time do not return at the same time. Sending and sleeping are left to the clients.
"""

import random
import time
from dataclasses import dataclass

from kerasbert_serving.clients.errors import ServingClientError, UnavailableError, deadline_exceeded


@dataclass(frozen=True)
class Retries:
    """How many times a request is sent, and how long the pauses in between are.

    Attributes:
        attempts: Maximum number of times that a request is sent. 1 never sends it again.
        first_pause: Maximum length of the first pause in seconds. The maximum doubles with every further pause.
        longest_pause: Maximum length of any pause in seconds.
        seed: Random seed for the pauses. None draws different ones each time.

    Raises:
        ValueError: If `attempts` is less than 1 or a pause is negative.

    Example:

    >>> Retries(attempts=3, longest_pause=1.0)
    Retries(attempts=3, first_pause=0.1, longest_pause=1.0, seed=None)
    """

    attempts: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_pause < 0 or self.longest_pause < 0:
            raise ValueError(
                "`attempts` must be 1 or more, and the pauses must not be negative. Received: "
                f"attempts={self.attempts}, first_pause={self.first_pause}, longest_pause={self.longest_pause}."
            )


class Deadline:
    """The time by which a call must end."""

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise ValueError(f"`timeout` must be a positive number of seconds. Received: timeout={seconds}.")
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def allows(self, seconds: float) -> bool:
        """Return whether more than this number of seconds remains."""
        return time.monotonic() + seconds < self._end

    def left(self) -> float:
        """Return the seconds that remain.

        Raises:
            DeadlineError: If no time remains.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise deadline_exceeded(self.seconds)
        return left


class Attempts:
    """The attempts to send one request."""

    def __init__(self, retries: Retries, deadline: Deadline):
        self._retries = retries
        self._deadline = deadline
        self._random = random.Random(retries.seed)
        self._failed = 0

    def pause_after(self, error: ServingClientError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            ServingClientError: The given error, if there is no next attempt: because the error is of another kind, or
                because no attempts or no time remain.
        """
        self._failed += 1
        error.attempts = self._failed
        if not isinstance(error, UnavailableError) or self._failed >= self._retries.attempts:
            raise error
        longest = min(self._retries.longest_pause, self._retries.first_pause * 2 ** (self._failed - 1))
        pause = max(self._random.uniform(0, longest), error.retry_after or 0)
        if not self._deadline.allows(pause):
            raise error
        return pause
