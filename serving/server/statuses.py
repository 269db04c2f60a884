"""The status codes of gRPC and TensorFlow, and TensorFlow Serving's HTTP status for each.

Every failed request raises a `ServingError`, which REST and gRPC translate to a reply.
"""

from enum import IntEnum


class Code(IntEnum):
    """The codes of `absl::StatusCode`, with the same numbers as in gRPC and TensorFlow."""

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
    """Raised for a failed request.

    Args:
        code: The status code.
        message: The message for the client.
    """

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = Code(code)
        self.message = message

    def __str__(self) -> str:
        """Formats the error like `absl::Status::ToString`: `INVALID_ARGUMENT: the message`."""
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServingError:
    """Returns the error for an invalid request."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def unexpected(error: Exception) -> ServingError:
    """Returns the error for a defect of this server, which the client must learn of, too."""
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}")


def from_tensorflow(error: Exception) -> ServingError:
    """Returns the error for a `tf.errors.OpError`, with TensorFlow's code and message."""
    return ServingError(Code(getattr(error, "error_code", Code.UNKNOWN)), getattr(error, "message", None) or str(error))
