"""The status codes of gRPC and TensorFlow, and the HTTP status that TensorFlow Serving gives to each.

Every failure on the way to an answer is a `ServingError`: the REST and gRPC fronts only translate it.
"""

from enum import IntEnum


class Code(IntEnum):
    """`absl::StatusCode`, equal to gRPC's and TensorFlow's numbers."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A failed request: the status code and the message that the client sees."""

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = Code(code)
        self.message = message

    def __str__(self) -> str:
        """As `absl::Status::ToString` writes it: `INVALID_ARGUMENT: the message`."""
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServingError:
    """The error for a request that is wrong in itself."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def unexpected(error: Exception) -> ServingError:
    """The `ServingError` of a fault of this server, which is an answer too: a client that waits learns of it."""
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")


def from_tensorflow(error: Exception) -> ServingError:
    """The `ServingError` of a `tf.errors.OpError`, with TensorFlow's own code and message."""
    return ServingError(Code(getattr(error, "error_code", Code.UNKNOWN)), getattr(error, "message", None) or str(error))
