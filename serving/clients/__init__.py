"""How does a program ask a model behind TF Serving, or behind the local server, over REST or gRPC?

Texts go in, small dataclasses come out; nothing here loads TensorFlow. `docs/clients.md` tells the rest.
"""

from kerasbert_serving.clients.errors import (
    AccessDeniedError,
    DeadlineError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ServerError,
    ServingClientError,
    UnavailableError,
    UnexpectedReplyError,
)
from kerasbert_serving.clients.grpc_client import AsyncGrpcClient, GrpcClient
from kerasbert_serving.clients.rest_client import AsyncRestClient, RestClient
from kerasbert_serving.clients.retries import Retries
from kerasbert_serving.clients.typed_replies import (
    Classification,
    Embedding,
    Entity,
    ModelMetadata,
    QuestionAnswer,
    Regression,
    SignatureInfo,
    Span,
    TensorInfo,
    Token,
    VersionStatus,
)

__all__ = [
    "AccessDeniedError",
    "AsyncGrpcClient",
    "AsyncRestClient",
    "Classification",
    "DeadlineError",
    "Embedding",
    "Entity",
    "GrpcClient",
    "InvalidRequestError",
    "ModelMetadata",
    "ModelNotFoundError",
    "OverloadedError",
    "QuestionAnswer",
    "Regression",
    "RestClient",
    "Retries",
    "ServerError",
    "ServingClientError",
    "SignatureInfo",
    "Span",
    "TensorInfo",
    "Token",
    "UnavailableError",
    "UnexpectedReplyError",
    "VersionStatus",
]
