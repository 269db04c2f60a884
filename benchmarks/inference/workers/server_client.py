"""A client of a server of sentence vectors, or a loop over the SavedModel without a server.

It runs as a worker in kerasbert's environment, for every server, and uses little processor time itself.
"""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.workers import worker_loop
from benchmarks.local_server import grpc_asker

Ask = Callable[[], Any]
STRING = 7


class Client(worker_loop.Worker):
    """A client of one door.

    Args:
        door: "rest" and "grpc" for TensorFlow Serving's APIs, "openai" for `POST /embeddings`, "bare" for a loop.
        port: the server's port.
        path: for "bare", the folder of the SavedModel's versions.
    """

    def __init__(self, door: str, port: int = 0, path: str = ""):
        self._door, self._port = door, port
        self._bare = _bare(path) if door == "bare" else None

    def answers(self, texts: list[str]) -> worker_loop.Run:
        """Return a function that asks for the vectors of some texts in one request."""
        ask = self._asker([texts])
        read = {"bare": lambda reply: reply, "rest": _rest_vectors, "openai": _openai_vectors, "grpc": _grpc_vectors}
        return lambda: [np.asarray(read[self._door](ask()), np.float32)]

    def requests(self, texts: list[str], rows: int, clients: int, seconds: float) -> worker_loop.Run:
        """Return a function that sends requests of `rows` texts from several threads for some seconds."""
        batches = worker_loop.split(texts, rows)

        def run() -> dict[str, float]:
            return _measure(
                [self._asker(batches[number % len(batches) :] + batches) for number in range(clients)], seconds
            )

        return run

    def _asker(self, batches: list[list[str]]) -> Ask:
        """Return a function that sends the batches in turn, over a connection of its own."""
        if self._bare:
            run, feeds = self._bare, itertools.cycle([np.array([t.encode() for t in each], object) for each in batches])
            return lambda: run(next(feeds))
        if self._door == "grpc":
            askers = itertools.cycle(_grpc_askers(self._port, batches))
            return lambda: next(askers)()
        path, field = ("/v1/models/model:predict", "instances") if self._door == "rest" else ("/embeddings", "input")
        bodies = [
            json.dumps({field: each, "model": "model"} if field == "input" else {field: each}) for each in batches
        ]
        return _http_asker(self._port, path, bodies)


def _measure(askers: list[Ask], seconds: float) -> dict[str, float]:
    """Call each function in a thread of its own for some seconds. Return requests per second and percentiles in ms."""
    barrier = threading.Barrier(len(askers))

    def work(ask: Ask) -> list[float]:
        ask()
        barrier.wait(600)
        times = [time.perf_counter()]
        while times[-1] < times[0] + seconds:
            ask()
            times.append(time.perf_counter())
        return times

    with ThreadPoolExecutor(len(askers)) as pool:
        threads = list(pool.map(work, askers))
    latencies = np.concatenate([np.diff(times) for times in threads])
    # The last request of a thread ends after the others. Until then the thread's own rate counts.
    rate = sum((len(times) - 1) / (times[-1] - times[0]) for times in threads)
    p50, p99 = np.percentile(1000 * latencies, [50, 99])
    return {"requests_per_second": float(rate), "p50_ms": float(p50), "p99_ms": float(p99)}


def _http_asker(port: int, path: str, bodies: list[str]) -> Ask:
    """Return a function that posts the bodies in turn and returns the body of the reply."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
    requests = itertools.cycle([f"{head}{len(body.encode())}\r\n\r\n{body}".encode() for body in bodies])

    def ask() -> bytes:
        connection.sendall(next(requests))
        data = b""
        while b"\r\n\r\n" not in data:
            data += _received(connection)
        header, _, body = data.partition(b"\r\n\r\n")
        [length] = [int(line[15:]) for line in header.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        parts, size = [body], len(body)
        while size < length:
            parts.append(_received(connection))
            size += len(parts[-1])
        if not header.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(b"".join(parts)[:200])
        return b"".join(parts)

    return ask


def _received(connection: socket.socket) -> bytes:
    """Return the next bytes of a connection."""
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def _grpc_askers(port: int, batches: list[list[str]]) -> list[Ask]:
    """Return a function for each batch. They share a channel."""
    from kerasbert_serving import protos

    messages = []
    for batch in batches:
        request = protos.PredictRequest()
        request.model_spec.name = "model"
        request.inputs["text"].dtype = STRING
        request.inputs["text"].tensor_shape.dim.add(size=len(batch))
        request.inputs["text"].string_val.extend(text.encode() for text in batch)
        messages.append(request.SerializeToString())
    return [grpc_asker((port, message)) for message in messages]


def _bare(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that runs the signature in this process."""
    from kerasbert_serving.server.models.saved_model import SavedModel

    [version] = [folder for folder in Path(path).iterdir() if folder.name.isdecimal()]
    model = SavedModel(version)
    signature = model.signatures["serving_default"]
    [feed] = [info.name for info in signature.inputs.values()]
    fetches = tuple(info.name for info in signature.outputs.values())
    return lambda rows: model.run((feed,), [rows], fetches)[0]


def _rest_vectors(reply: bytes) -> list[list[float]]:
    return json.loads(reply)["predictions"]


def _openai_vectors(reply: bytes) -> list[list[float]]:
    return [row["embedding"] for row in json.loads(reply)["data"]]


def _grpc_vectors(reply: bytes) -> np.ndarray:
    from kerasbert_serving import protos

    [tensor] = protos.PredictResponse.FromString(reply).outputs.values()
    shape = [each.size for each in tensor.tensor_shape.dim]
    values = np.frombuffer(tensor.tensor_content, "<f4") if tensor.tensor_content else np.array(tensor.float_val)
    return values.reshape(shape)


if __name__ == "__main__":
    worker_loop.main(Client)
