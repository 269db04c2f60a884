"""When to send a request again: after UNAVAILABLE only, later and later, and at random.

The pauses grow exponentially and are drawn evenly between nothing and the grown value ("full jitter"), so that clients
that failed together do not come back together. Sending and sleeping are left to the clients.
"""

import random
import time
from dataclasses import dataclass

from kerasbert_serving.clients.errors import ServingClientError, UnavailableError, deadline_exceeded


@dataclass(frozen=True)
class Retries:
    """How often and after which pauses a request is sent again.

    Attributes:
        attempts: How often a request is sent at the most; 1 never sends it again.
        first_pause: Seconds up to which the first pause may last; each further one up to twice as long.
        longest_pause: Seconds that no pause exceeds.
        seed: Seed of the pauses; None draws them anew each time.
    """

    attempts: int = 5
    first_pause: float = 0.1
    longest_pause: float = 5.0
    seed: int | None = None

    def __post_init__(self):
        if self.attempts < 1 or self.first_pause < 0 or self.longest_pause < 0:
            raise ValueError(
                "`attempts` must be 1 or more, and the pauses must not be negative. Received: "
                f"attempts={self.attempts}, first_pause={self.first_pause}, longest_pause={self.longest_pause}."
            )


class Deadline:
    """The end of a call: `left` says how much time remains, and raises once there is none."""

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise ValueError(f"`timeout` must be a positive number of seconds. Received: timeout={seconds}.")
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def allows(self, seconds: float) -> bool:
        """Whether more than so many seconds remain."""
        return time.monotonic() + seconds < self._end

    def left(self) -> float:
        """Seconds that remain.

        Raises:
            DeadlineError: If none do.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise deadline_exceeded(self.seconds)
        return left


class Attempts:
    """The attempts at one request."""

    def __init__(self, retries: Retries, deadline: Deadline):
        self._retries = retries
        self._deadline = deadline
        self._random = random.Random(retries.seed)
        self._failed = 0

    def pause_after(self, error: ServingClientError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            ServingClientError: The error, if there is no next attempt: it is of another kind, or attempts or time are
                used up.
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
