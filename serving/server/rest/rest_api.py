"""The REST API: TensorFlow Serving's paths, methods, bodies, status codes and headers, as a Starlette application.

This module reads paths and writes replies. Answering requests is left to `serving_core.py`.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from kerasbert_serving.server.rest import json_examples, json_replies, json_status
from kerasbert_serving.server.rest.json_printer import error_body
from kerasbert_serving.server.rest.request_bodies import BodyError, ClientGoneError, read_body
from kerasbert_serving.server.serving_core import ServingCore, Target, off_loop, within
from kerasbert_serving.server.statuses import HTTP_STATUS, Code, ServingError, invalid_argument, unexpected

log = logging.getLogger(__name__)

# A path whose version is not a number or whose name contains a colon does not match. Case does not matter.
_INFERENCE = re.compile(
    rb"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_MODEL = re.compile(rb"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(?:/(metadata))?", re.IGNORECASE)
_METHODS = (b"classify", b"predict", b"regress")
_ANY_METHOD = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]
_ANY = re.compile(rb"/v1/[^\n]*", re.IGNORECASE)

# A page to try the models, at the root, where TensorFlow Serving has nothing.
PLAYGROUND = Path(__file__).with_name("playground.html")
_NO_MODELS = '<script id="models" type="application/json">[]</script>'
# The page sends requests to this server only and loads nothing else.
_PLAYGROUND_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}

# The reply of libevent, TensorFlow Serving's HTTP library, for all other paths.
_NOT_FOUND = b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]


@dataclass
class _Outcome:
    """A reply in parts, and what the metrics record of it."""

    body: Sequence[bytes]
    status: int = 200
    code: Code = Code.OK
    model: str = ""
    method: str = ""
    close: bool = False
    json: bool = True


def rest_application(core: ServingCore) -> Starlette:
    """Returns the application that answers the REST API with the models of a core."""
    routes: list[BaseRoute] = []
    if core.options.prometheus_path:

        async def metrics(request: Request) -> Response:
            headers = {"content-type": "text/plain"}
            if query := request.url.query:
                wrong = f"Unexpected path: {request.url.path}?{query}. Should be {request.url.path}"
                return Response(wrong, status_code=400, headers=headers)
            # Clients choose model names, which may be invalid UTF-8.
            return Response(core.metrics.page().encode("utf-8", "replace"), headers=headers)

        routes.append(Route(core.options.prometheus_path, metrics, methods=_ANY_METHOD))
    page = PLAYGROUND.read_text(encoding="utf-8")

    async def playground(request: Request) -> Response:
        # A name can contain anything. Within a script element, only "<" could end the element.
        names = json.dumps(core.store.names()).replace("<", "\\u003c")
        body = page.replace(_NO_MODELS, _NO_MODELS.replace("[]", names))
        return Response(body, headers=_PLAYGROUND_HEADERS, media_type="text/html")

    routes.append(Route("/", playground, methods=["GET"]))
    routes.append(Mount("/", app=RestApi(core)))
    return Starlette(routes=routes)


class RestApi:
    """The paths under `/v1/`, as an ASGI application."""

    def __init__(self, core: ServingCore):
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        start = time.perf_counter()
        path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        if not _ANY.fullmatch(path):
            headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(_NOT_FOUND))]
            await _send(send, 404, headers, [_NOT_FOUND])
            return
        try:
            outcome = await self._answer(scope, path, receive)
        except ClientGoneError:
            return
        if outcome.status == 200:
            took = time.perf_counter() - start
            self._core.metrics.request_took(outcome.model, outcome.method, "REST", took)
        self._core.metrics.request(outcome.model, outcome.code.name)
        await _send(send, outcome.status, self._headers(outcome), outcome.body)

    def _headers(self, outcome: _Outcome) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-length", b"%d" % sum(map(len, outcome.body)))]
        if outcome.json:
            headers.append((b"content-type", b"application/json"))
        if self._core.options.rest_api_enable_cors_support:
            headers.extend(_CORS)
        if outcome.close:
            headers.append((b"connection", b"close"))
        return headers

    async def _answer(self, scope: Scope, path: bytes, receive: Receive) -> _Outcome:
        http_method = scope["method"]
        outcome = _Outcome([])
        options = self._core.options
        try:
            headers = dict(scope["headers"])
            with self._core.waiting.request() as waiting:
                body = await read_body(
                    receive, headers, options.max_body_bytes, options.body_idle_timeout_seconds, waiting.add
                )
                if http_method == "OPTIONS":
                    return _preflight(headers)
                pattern = {"POST": _INFERENCE, "GET": _MODEL}.get(http_method)
                match = pattern.fullmatch(path) if pattern else None
                # The path may be in capitals, the method after the colon must not.
                if match is None or (http_method == "POST" and match.group(4) not in _METHODS):
                    raise invalid_argument(f"Malformed request: {http_method} {_text(path)}")
                target, outcome.model = _target(match)
                if http_method == "POST":
                    outcome.method = _text(match.group(4))
                    seconds = options.rest_api_timeout_in_ms / 1000
                    outcome.body = await within(seconds, self._infer(outcome.method, target, body))
                else:
                    outcome.body = [self._describe(target, match.group(4))]
        except ServingError as error:
            outcome.code, outcome.status = error.code, HTTP_STATUS[error.code]
            outcome.body = [error_body(error.message)]
        except BodyError as error:
            outcome.code, outcome.status, outcome.close = error.code, error.status, True
            outcome.body = [error_body(error.message)]
        except ClientGoneError:
            raise
        except Exception as error:
            log.exception("%s %s failed", http_method, _text(path))
            outcome.code, outcome.status = Code.INTERNAL, HTTP_STATUS[Code.INTERNAL]
            outcome.body = [error_body(unexpected(error).message)]
        return outcome

    async def _infer(self, method: str, target: Target, body: bytes) -> list[bytes]:
        replies = self._core.replies
        if method == "predict":
            prediction, by_row = await self._core.predict_json(target, body)
            layout = json_replies.predictions if by_row else json_replies.outputs_reply
            return await replies.text(prediction.values, lambda: layout(prediction.outputs))
        name, request_input = await off_loop(len(body), lambda: json_examples.examples_input(body))
        if method == "classify":
            _, classes = await self._core.classify(target, name, request_input)
            return await replies.text(classes.scores.size, lambda: json_replies.classifications(classes))
        _, values = await self._core.regress(target, name, request_input)
        return await replies.text(values.size, lambda: json_replies.regressions(values))

    def _describe(self, target: Target, subresource: bytes | None) -> bytes:
        if not target.name:
            raise invalid_argument("Missing model name in request.")
        if subresource == b"metadata":
            return json_status.model_metadata(self._core.metadata(target))
        # As in TensorFlow Serving, a label does not select a version here.
        return json_status.model_status(self._core.store.versions(target.name, target.version))


def _target(match: re.Match) -> tuple[Target, str]:
    name = _decoded(match.group(1)) if match.group(1) else ""
    version = None
    if match.group(2):
        version = int(match.group(2))
        if version >= 2**63:
            raise invalid_argument(f"Failed to convert version: {_text(match.group(2))} to numeric.")
    label = _decoded(match.group(3)) if match.group(3) else None
    return Target(name, version, label), name


def _decoded(part: bytes) -> str:
    return _text(unquote_to_bytes(part))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _preflight(headers: dict[bytes, bytes]) -> _Outcome:
    """Answers a CORS preflight request, without a body."""
    if re.search(rb"https?://", headers.get(b"origin", b"")):
        return _Outcome([], json=False)
    return _Outcome([], status=400, code=Code.FAILED_PRECONDITION, json=False)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: Sequence[bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in body[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)  # `send` need not wait, and the other clients shall have their turn
    await send({"type": "http.response.body", "body": body[-1] if body else b""})
