"""What can go wrong between a client and a server, as one exception type per remedy.

The names of the codes are gRPC's. Over REST the code follows from the HTTP status, where several codes may share one:
400 is INVALID_ARGUMENT here, though the server may have meant FAILED_PRECONDITION or OUT_OF_RANGE.
"""


class ServingClientError(Exception):
    """A call without an answer. All errors of the clients are of this type.

    Attributes:
        message: The server's own text, or what the client saw.
        code: The code's name in gRPC, such as "INVALID_ARGUMENT".
        http_status: The status of the HTTP reply; None over gRPC or where no reply came.
        attempts: How often the request was sent.
        retry_after: Seconds that the server asked to wait before a retry, or None.
    """

    def __init__(
        self,
        message: str,
        code: str,
        http_status: int | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message, code, http_status, retry_after)
        self.message = message
        self.code = code
        self.http_status = http_status
        self.retry_after = retry_after
        self.attempts = 1

    def __str__(self) -> str:
        status = "" if self.http_status is None else f", HTTP {self.http_status}"
        attempts = "" if self.attempts == 1 else f" (after {self.attempts} attempts)"
        return f"{self.code}{status}: {self.message}{attempts}"


class InvalidRequestError(ServingClientError):
    """The request is wrong in itself: sent again it fails again."""


class ModelNotFoundError(ServingClientError):
    """The server has no such model, version or path."""


class AccessDeniedError(ServingClientError):
    """The server, or a proxy before it, wants other credentials."""


class OverloadedError(ServingClientError):
    """The server has no room for this request: too many at once, or too large a one (RESOURCE_EXHAUSTED)."""


class UnavailableError(ServingClientError):
    """Nobody answers there now, or the server's queue is full. The only error after which a request is sent again."""


class DeadlineError(ServingClientError):
    """The time was over before the answer was there, retries included."""


class ServerError(ServingClientError):
    """The server failed, or cannot do what is asked."""


class UnexpectedReplyError(ServingClientError):
    """An answer came, and it is not what the call is about: another signature, or no TF Serving at all."""


ERRORS = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "FAILED_PRECONDITION": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "NOT_FOUND": ModelNotFoundError,
    "PERMISSION_DENIED": AccessDeniedError,
    "UNAUTHENTICATED": AccessDeniedError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
}

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def of_code(code: str, message: str, **details: object) -> ServingClientError:
    """The error of a gRPC code."""
    return ERRORS.get(code, ServerError)(message, code, **details)


def of_http_status(status: int, message: str, retry_after: float | None = None) -> ServingClientError:
    """The error of an HTTP reply."""
    code = _CODES.get(status, "INVALID_ARGUMENT" if 400 <= status < 500 else "UNKNOWN")
    return of_code(code, message, http_status=status, retry_after=retry_after)


def deadline_exceeded(seconds: float) -> DeadlineError:
    """The error of a call whose time is over."""
    return DeadlineError(f"No answer within {seconds:g} seconds", "DEADLINE_EXCEEDED")
