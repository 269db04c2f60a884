"""The errors of the clients: one exception type for each way in which a caller can react.

The codes have gRPC's names. Over REST the code is derived from the HTTP status, which several codes may share:
400 becomes INVALID_ARGUMENT, although the server may have meant FAILED_PRECONDITION or OUT_OF_RANGE.
"""

from kerasbert_serving.clients.proxies import Proxy, hint_of


class ServingClientError(Exception):
    """The base class of the clients' errors: a call that got no answer.

    Attributes:
        message: The message of the server or of the client.
        code: Name of the gRPC code, e.g. "INVALID_ARGUMENT".
        http_status: Status of the HTTP reply. None over gRPC, or if there was no reply.
        attempts: How many times the request was sent.
        retry_after: Seconds that the server asks clients to wait before they retry, or None.
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
    """The request is invalid. It fails again if it is sent again."""


class ModelNotFoundError(ServingClientError):
    """The server has no such model, version or path."""


class AccessDeniedError(ServingClientError):
    """The server, or a proxy in front of it, requires other credentials."""


class OverloadedError(ServingClientError):
    """The server is overloaded or the request is too large (RESOURCE_EXHAUSTED)."""


class UnavailableError(ServingClientError):
    """No server answers at the moment, or its queue is full. Only this error makes a client send a request again."""


class DeadlineError(ServingClientError):
    """The answer did not arrive in time, retries included."""


class ServerError(ServingClientError):
    """The server failed, or does not implement the request."""


class UnexpectedReplyError(ServingClientError):
    """The reply does not fit the call: the signature is of another task, or the server is not TF Serving."""


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
    407: "UNAUTHENTICATED",
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


def of_code(
    code: str, message: str, http_status: int | None = None, retry_after: float | None = None
) -> ServingClientError:
    """Return the error for a gRPC code."""
    return ERRORS.get(code, ServerError)(message, code, http_status, retry_after)


def of_http_status(status: int, message: str, retry_after: float | None = None) -> ServingClientError:
    """Return the error for an HTTP reply."""
    code = _CODES.get(status, "INVALID_ARGUMENT" if 400 <= status < 500 else "UNKNOWN")
    return of_code(code, message, http_status=status, retry_after=retry_after)


def deadline_exceeded(seconds: float, proxy: Proxy | None = None) -> DeadlineError:
    """Return the error of a call that took too long."""
    return DeadlineError(f"No answer within {seconds:g} seconds.{hint_of(proxy)}", "DEADLINE_EXCEEDED")
