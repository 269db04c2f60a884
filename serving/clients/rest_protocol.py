"""TF Serving's REST API: turns calls into HTTP requests and replies into arrays. It sends nothing itself.

Each call is a generator that yields requests, receives their replies and returns the answer, so the blocking and the
asynchronous client share it.
"""

import base64
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from kerasbert_serving.clients import dtypes, errors
from kerasbert_serving.clients.proxies import Proxy, hint_of
from kerasbert_serving.clients.target import Target
from kerasbert_serving.clients.tensors import as_arrays
from kerasbert_serving.clients.typed_replies import ModelMetadata, SignatureInfo, TensorInfo, VersionStatus

_MAX_SHOWN = 200


@dataclass(frozen=True)
class HttpRequest:
    """A request. The path follows the server's address."""

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True)
class HttpReply:
    """A reply. The names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Steps = Generator[HttpRequest, HttpReply, Any]


def checked(reply: HttpReply, proxy: Proxy | None = None) -> HttpReply:
    """Return the reply if it has status 200.

    Args:
        reply: The reply.
        proxy: The proxy that it came through, or None.

    Raises:
        ServingClientError: If it has another status.
    """
    if reply.status == 200:
        return reply
    try:
        message = str(json.loads(reply.body)["error"])
    except (ValueError, LookupError, TypeError):
        # TF Serving did not write this reply, so the proxy may have.
        message = _shown(reply.body) + hint_of(proxy)
    wait = reply.headers.get("retry-after", "")
    raise errors.of_http_status(reply.status, message, float(wait) if wait.isdigit() else None)


class RestProtocol:
    """The calls for one model."""

    def __init__(self, target: Target):
        self.target = target
        choice = ""
        if target.version is not None:
            choice = f"/versions/{target.version}"
        elif target.label is not None:
            choice = f"/labels/{quote(target.label, safe='')}"
        self._path = f"/v1/models/{quote(target.name, safe='')}{choice}"
        self._metadata: ModelMetadata | None = None

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> Steps:
        """Return the outputs of a signature by name."""
        body = {"signature_name": signature_name, "inputs": _values(inputs)}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        document = _document((yield HttpRequest("POST", f"{self._path}:predict", text.encode())))
        if "outputs" not in document:
            raise _unexpected("a predict reply", document)
        known = self._metadata is not None
        try:
            return _arrays(document["outputs"], (yield from self._outputs(signature_name)))
        except _MismatchError as error:
            if not known:
                raise _unexpected(f"the outputs of {signature_name!r}", document) from error
        self._metadata = None  # a newer version may have other signatures
        try:
            return _arrays(document["outputs"], (yield from self._outputs(signature_name)))
        except _MismatchError as error:
            raise _unexpected(f"the outputs of {signature_name!r}", document) from error

    def status(self) -> Steps:
        """Return the state of each version."""
        document = _document((yield HttpRequest("GET", self._path)))
        try:
            return [
                VersionStatus(
                    int(version["version"]),
                    version["state"],
                    version["status"]["error_code"],
                    version["status"]["error_message"],
                )
                for version in document["model_version_status"]
            ]
        except (LookupError, TypeError, ValueError) as error:
            raise _unexpected("a model status", document) from error

    def metadata(self) -> Steps:
        """Return the signatures."""
        document = _document((yield HttpRequest("GET", f"{self._path}/metadata")))
        try:
            signatures = document["metadata"]["signature_def"]["signature_def"]
            self._metadata = ModelMetadata(
                document["model_spec"]["name"],
                int(document["model_spec"]["version"]),
                {name: _signature(definition) for name, definition in signatures.items()},
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _unexpected("model metadata", document) from error
        return self._metadata

    def _outputs(self, signature_name: str) -> Steps:
        metadata = self._metadata or (yield from self.metadata())
        if signature_name not in metadata.signatures:
            raise _MismatchError
        return metadata.signatures[signature_name].outputs


class _MismatchError(Exception):
    """A reply does not match the known metadata."""


# === Requests ===


def _values(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _nested(array) for name, array in as_arrays(inputs).items()}


def _nested(array: np.ndarray) -> Any:
    if array.dtype != np.object_:
        return array.tolist()
    values = np.empty(array.size, np.object_)
    values[:] = [_json_string(value) for value in array.reshape(-1)]
    return values.reshape(array.shape).tolist()


def _json_string(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}


# === Replies ===


def _document(reply: HttpReply) -> dict[str, Any]:
    # TF Serving writes strings as they are, even if they are not valid UTF-8.
    try:
        document = json.loads(reply.body.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise _unexpected("JSON", reply.body) from error
    if not isinstance(document, dict):
        raise _unexpected("a JSON object", reply.body)
    return document


def _arrays(outputs: Any, infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if len(infos) == 1:  # a single output is sent without its name
        [name] = infos
        outputs = {name: outputs}
    if not isinstance(outputs, dict) or set(outputs) != set(infos):
        raise _MismatchError
    return {name: _array(outputs[name], info) for name, info in infos.items()}


def _array(value: Any, info: TensorInfo) -> np.ndarray:
    dtype = dtypes.BY_NAME.get(info.dtype)
    try:
        if dtype is None or dtype is dtypes.STRING:
            nested = np.array(value, np.object_)
            array = np.empty(nested.shape, np.object_)
            array.reshape(-1)[:] = [_bytes(text) for text in nested.reshape(-1)]
        else:
            array = np.array(value, dtype.numpy)
    except (TypeError, ValueError) as error:
        raise _MismatchError from error
    if not array.size and info.shape is not None and array.ndim < len(info.shape):
        # An empty list does not show its inner dimensions.
        array = array.reshape(array.shape + tuple(max(size, 0) for size in info.shape[array.ndim :]))
    return array


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        return base64.b64decode(value["b64"])
    raise TypeError(f"A value must be a string. Received: {value!r}.")


def _signature(definition: Mapping[str, Any]) -> SignatureInfo:
    return SignatureInfo(
        {name: _tensor_info(info) for name, info in definition.get("inputs", {}).items()},
        {name: _tensor_info(info) for name, info in definition.get("outputs", {}).items()},
        definition.get("method_name", ""),
    )


def _tensor_info(info: Mapping[str, Any]) -> TensorInfo:
    shape = info["tensor_shape"]
    sizes = None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", []))
    return TensorInfo(info["dtype"].removeprefix("DT_").lower(), sizes)


def _unexpected(expected: str, received: Any) -> errors.UnexpectedReplyError:
    return errors.UnexpectedReplyError(
        f"The server's reply must be {expected}. Received: {_shown(received)}. Check that the address is that of TF "
        "Serving's REST API.",
        "UNKNOWN",
        200,
    )


def _shown(received: Any) -> str:
    text = received.decode("utf-8", "replace") if isinstance(received, bytes) else str(received)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
