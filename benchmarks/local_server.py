"""Requests a second and latency of the local server, against a bare loop over the same SavedModel.

    python -m benchmarks.local_server [MODEL_DIR] --rounds 3 --seconds 3

`bare` runs the session in as many threads as there are clients, with nothing around it; `rest` and `grpc` ask a server
in a process of its own, on the loopback. All take turns; medians over the rounds go as one JSON object to the standard
output. Without a model a small one is made. The bare loop has the whole machine, which server and clients must share.
"""

import argparse
import json
import multiprocessing
import queue
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

CONCURRENCIES = (1, 8, 64)
TEXT = "how do I track the card that was sent to me last week"


def write_model(folder):
    """A small text model: hashes the words of a string, embeds them and classifies their mean."""
    import tensorflow as tf

    class Classifier(tf.Module):
        def __init__(self):
            self.table = tf.Variable(tf.random.stateless_normal([1000, 128], [1, 2]))
            self.layers = [tf.Variable(tf.random.stateless_normal([128, 128], [i, 3]) / 11) for i in range(4)]
            self.head = tf.Variable(tf.random.stateless_normal([128, 20], [9, 9]) / 11)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def classify(self, text):
            words = tf.strings.split(tf.ensure_shape(text, [None]))
            ids = words.with_values(tf.strings.to_hash_bucket_fast(words.values, 1000))
            hidden = tf.reduce_mean(ids.with_values(tf.gather(self.table, ids.values)), axis=1)
            for layer in self.layers:
                hidden = tf.nn.gelu(hidden @ layer)
            return {"probabilities": tf.nn.softmax(tf.ensure_shape(hidden @ self.head, [None, 20]))}

    module = Classifier()
    tf.saved_model.save(module, str(Path(folder) / "1"), signatures=module.classify)


def run_server(model_dir, made, targets):
    """Serves until the process is ended, after making the model if asked to; tells where, and a gRPC message."""
    from tensorflow_serving.apis import predict_pb2

    from kerasbert_serving.server import serve

    if made:
        write_model(model_dir)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["text"].dtype = 7
    request.inputs["text"].tensor_shape.dim.add(size=1)
    request.inputs["text"].string_val.append(TEXT.encode())

    def tell(line):
        rest_port, grpc_port = map(int, re.findall(r":(\d+)", line))
        targets.put({"rest": rest_port, "grpc": (grpc_port, request.SerializeToString())})

    serve(tell, model_dir=model_dir, model_name="m", rest_port=0, grpc_port=0, file_system_poll_wait_seconds=0)


def rest_asker(port):
    """Sends one REST request on a raw connection and waits for the whole reply; a light client, to load the server."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = json.dumps({"instances": [TEXT]}).encode()
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    def ask():
        connection.sendall(request)
        data = connection.recv(65536)
        while data and not data.endswith(b"\n}"):
            part = connection.recv(65536)
            data = data + part if part else b""
        if not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data)

    return ask


def grpc_asker(target):
    """Sends one gRPC request; messages are made beforehand and not parsed, to load the server and not the client."""
    import grpc

    port, message = target
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    return lambda: call(message, timeout=60)


def bare_asker(model_dir):
    """Runs the signature in this process, with nothing around it."""
    import numpy as np

    from kerasbert_serving.server.models.saved_model import SavedModel

    model = SavedModel(Path(model_dir) / "1")
    signature = model.signatures["serving_default"]
    [feed] = [info.name for info in signature.inputs.values()]
    fetches = tuple(info.name for info in signature.outputs.values())
    rows = np.array([TEXT.encode()], object)
    return lambda: model.run((feed,), [rows], fetches)


def measure(askers, seconds):
    """Latencies in seconds of all askers, each in a thread, asking as fast as they are answered."""
    barrier = threading.Barrier(len(askers))
    latencies = [[] for _ in askers]
    errors = []

    def work(ask, mine):
        try:
            for _ in range(5):
                ask()
            barrier.wait(60)
            end = time.perf_counter() + seconds
            while (start := time.perf_counter()) < end:
                ask()
                mine.append(time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 - reported to the caller
            errors.append(repr(error))
            barrier.abort()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(askers, latencies, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(errors[0])
    return sorted(latency for mine in latencies for latency in mine)


def run_client(kind, target, orders, results):
    """A client process: measures at a concurrency for some seconds whenever it is told to, until it is told None."""
    bare = bare_asker(target) if kind == "bare" else None
    make = {"rest": rest_asker, "grpc": grpc_asker, "bare": lambda _: bare}[kind]
    results.put("ready")
    while (order := orders.get()) is not None:
        concurrency, seconds = order
        # New connections each time: the server closes those that idle while the others have their turn.
        results.put(metrics(measure([make(target) for _ in range(concurrency)], seconds), seconds))


def in_process(context, function, *args):
    """Runs a function in a new process; returns the process, its queue of results, and the first of them."""
    results = context.Queue()
    process = context.Process(target=function, args=(*args, results), daemon=True)
    process.start()
    return process, results, wait_for(process, results)


def wait_for(process, results):
    """The next result of a process."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty:
            if not process.is_alive():
                raise SystemExit(f"{process.name} failed") from None


def metrics(latencies, seconds):
    """Requests a second and percentiles in milliseconds."""
    at = [round(1000 * latencies[min(len(latencies) - 1, int(len(latencies) * q))], 3) for q in (0.5, 0.99)]
    return {"requests_per_second": round(len(latencies) / seconds, 1), "p50_ms": at[0], "p99_ms": at[1]}


def medians(rounds):
    """The median of each figure over the rounds."""
    return {name: round(statistics.median(each[name] for each in rounds), 3) for name in rounds[0]}


def measure_all(context, model_dir, made, rounds, seconds):
    """Metrics by API and concurrency: all ways in turns, so that a busy machine slows all alike."""
    server, _, targets = in_process(context, run_server, model_dir, made)
    clients = {}
    for kind, target in {"bare": model_dir, **targets}.items():
        orders = context.Queue()
        clients[kind] = (orders, *in_process(context, run_client, kind, target, orders)[:2])
    found = {kind: {concurrency: [] for concurrency in CONCURRENCIES} for kind in clients}
    for number in range(rounds):
        for concurrency in CONCURRENCIES:
            for kind, (orders, process, results) in clients.items():
                orders.put((concurrency, seconds))
                found[kind][concurrency].append(wait_for(process, results))
                print(f"round {number + 1}: {kind} x{concurrency}", found[kind][concurrency][-1], file=sys.stderr)
    for orders, process, _ in clients.values():
        orders.put(None)
        process.join()
    server.terminate()
    server.join()
    return {kind: {f"x{n}": medians(each) for n, each in measured.items()} for kind, measured in found.items()}


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model_dir", nargs="?", help="folder of numbered versions, of which version 1 takes `text`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (%(default)s)")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        model_dir = arguments.model_dir or folder
        found = measure_all(context, model_dir, arguments.model_dir is None, arguments.rounds, arguments.seconds)
    json.dump({"rounds": arguments.rounds, "seconds": arguments.seconds, **found}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
