"""Clients for models served by TF Serving or by the local server, over REST and gRPC.

They take texts and return small dataclasses, and do not load TensorFlow. `docs/clients.md` describes them.
"""

from kerasbert_serving.clients.asynchronous.grpc import AsyncGrpcClient
from kerasbert_serving.clients.asynchronous.rest import AsyncRestClient
from kerasbert_serving.clients.blocking.grpc import GrpcClient
from kerasbert_serving.clients.blocking.rest import RestClient
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
from kerasbert_serving.clients.retries import Retries
from kerasbert_serving.clients.typed_replies import (
    Classification,
    Embedding,
    Entities,
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
    "Entities",
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
