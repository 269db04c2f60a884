"""Requests per second and latency of the local server, compared with a bare loop over the same SavedModel.

    python -m benchmarks.local_server [MODEL_DIR] --rounds 3 --seconds 3
    python -m benchmarks.local_server --large-replies

`bare` runs the session in one thread per client, with nothing around it. `rest` and `grpc` send requests to a server in
a separate process on this machine. They take turns, and the medians over the rounds are printed as a JSON object.
Without a model, a small one is made. The bare loop has the machine to itself, while server and clients share it.

With `--large-replies`, one client receives 10 million numbers, and another one measures its status calls at the same
time.
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
COLUMNS = 1_000_000
TEXT = "how do I track the card that was sent to me last week"


def write_model(folder):
    """Writes a small text model that hashes the words of a string, embeds them and classifies their mean.

    Its second signature, `wide`, returns a million numbers per row.
    """
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

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def widen(self, x):
            return {"y": x[:, tf.newaxis] / tf.range(3, 3 + COLUMNS, dtype=tf.float32)}

    module = Classifier()
    signatures = {"serving_default": module.classify, "wide": module.widen}
    tf.saved_model.save(module, str(Path(folder) / "1"), signatures=signatures)


def run_server(model_dir, made, targets):
    """Serves until the process ends, after making the model if `made` is set. Sends the ports and a gRPC message."""
    from kerasbert_serving import protos
    from kerasbert_serving.server import serve

    if made:
        write_model(model_dir)
    request = protos.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["text"].dtype = 7
    request.inputs["text"].tensor_shape.dim.add(size=1)
    request.inputs["text"].string_val.append(TEXT.encode())

    options = {"model_name": "m", "rest_port": 0, "grpc_port": 0}
    options |= {"file_system_poll_wait_seconds": 0, "rest_api_timeout_in_ms": 600_000}

    def tell(line):
        rest_port, grpc_port = map(int, re.findall(r":(\d+)", line))
        targets.put({"rest": rest_port, "grpc": (grpc_port, request.SerializeToString())})

    serve(tell, model_dir=model_dir, **options)


def rest_asker(port):
    """Returns a function that sends a REST request and reads the reply. Uses little processor time itself."""
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
    """Returns a function that sends a gRPC request. Replies are not parsed, to use little processor time itself."""
    import grpc

    port, message = target
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
    call = grpc_call(channel)
    return lambda: call(message, timeout=60)


def bare_asker(model_dir):
    """Returns a function that runs the signature in this process."""
    import numpy as np

    from kerasbert_serving.server.runtimes.runtime import find_runtime

    model = find_runtime().load(Path(model_dir) / "1", 0)
    signature = model.signatures["serving_default"]
    [feed] = [info.name for info in signature.inputs.values()]
    fetches = tuple(info.name for info in signature.outputs.values())
    rows = np.array([TEXT.encode()], object)
    return lambda: model.run((feed,), [rows], fetches)


def measure(askers, seconds):
    """Calls each function in a separate thread as fast as possible. Returns all latencies in seconds, sorted."""
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
    """Runs in a client process. Measures once for each order (a concurrency and a duration), until an order is None."""
    bare = bare_asker(target) if kind == "bare" else None
    make = {"rest": rest_asker, "grpc": grpc_asker, "bare": lambda _: bare}[kind]
    results.put("ready")
    while (order := orders.get()) is not None:
        concurrency, seconds = order
        # New connections each time, because the server closes idle ones.
        results.put(metrics(measure([make(target) for _ in range(concurrency)], seconds), seconds))


def in_process(context, function, *args):
    """Runs a function in a new process. Returns the process, its queue of results, and the first result."""
    results = context.Queue()
    process = context.Process(target=function, args=(*args, results), daemon=True)
    process.start()
    return process, results, wait_for(process, results)


def wait_for(process, results):
    """Returns the next result of a process."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty:
            if not process.is_alive():
                raise SystemExit(f"{process.name} failed") from None


def metrics(latencies, seconds):
    """Returns requests per second, and percentiles of the latency in milliseconds."""
    at = [round(1000 * latencies[min(len(latencies) - 1, int(len(latencies) * q))], 3) for q in (0.5, 0.99)]
    return {"requests_per_second": round(len(latencies) / seconds, 1), "p50_ms": at[0], "p99_ms": at[1]}


def medians(rounds):
    """Returns the median of each metric over the rounds."""
    return {name: round(statistics.median(each[name] for each in rounds), 3) for name in rounds[0]}


def measure_all(context, model_dir, made, rounds, seconds):
    """Returns metrics by API and concurrency. APIs take turns, so that other load affects all of them."""
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


def receive_large_reply(kind, port, started):
    """Runs in a client process. Requests 10 million numbers, and returns the seconds until they have arrived."""
    import grpc
    import httpx

    from kerasbert_serving import protos

    started.put("ready")
    start = time.perf_counter()
    if kind == "rest":
        body = {"signature_name": "wide", "instances": [1] * 10}
        size = len(httpx.post(f"http://127.0.0.1:{port}/v1/models/m:predict", json=body, timeout=600).content)
    else:
        request = protos.PredictRequest(model_spec={"name": "m", "signature_name": "wide"})
        request.inputs["x"].dtype = 1
        request.inputs["x"].tensor_shape.dim.add(size=10)
        request.inputs["x"].float_val.append(1)
        with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]) as channel:
            size = len(grpc_call(channel)(request.SerializeToString(), timeout=600))
    started.put({"seconds": round(time.perf_counter() - start, 2), "megabytes": round(size / 1e6)})


def grpc_call(channel):
    """The Predict method of a channel, with messages as bytes."""
    return channel.unary_unary("/tensorflow.serving.PredictionService/Predict")


def after(seconds):
    """Returns a function that tells whether some seconds have passed since this call."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


def status_latencies(client, until):
    """Sends status calls one after the other. Returns their number and latency in milliseconds."""
    latencies = []
    while not latencies or not until():
        start = time.perf_counter()
        client.get("/v1/models/m").raise_for_status()
        latencies.append(1000 * (time.perf_counter() - start))
        time.sleep(0.01)
    median, longest = statistics.median(latencies), max(latencies)
    return {"calls": len(latencies), "median_ms": round(median, 2), "longest_ms": round(longest, 2)}


def measure_large_replies(context, folder):
    """Returns the latency of status calls before and while another client receives a large reply."""
    import httpx

    server, _, targets = in_process(context, run_server, folder, True)
    ports = {"rest": targets["rest"], "grpc": targets["grpc"][0]}
    found = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{ports['rest']}", timeout=600) as client:
        for kind, port in ports.items():
            idle = status_latencies(client, until=after(3))
            process, results, _ = in_process(context, receive_large_reply, kind, port)
            busy = status_latencies(client, until=lambda results=results: not results.empty())
            found[kind] = {**results.get(), "status_calls_before": idle, "status_calls_during": busy}
            process.join()
    server.terminate()
    server.join()
    return found


def main():
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model_dir", nargs="?", help="folder with numbered versions; version 1 has the input `text`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="duration of each measurement (default: %(default)s)")
    parser.add_argument("--large-replies", action="store_true", help="measure status calls during large replies")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.large_replies:
            json.dump(measure_large_replies(context, folder), sys.stdout, indent=2)
            return
        model_dir = arguments.model_dir or folder
        found = measure_all(context, model_dir, arguments.model_dir is None, arguments.rounds, arguments.seconds)
    json.dump({"rounds": arguments.rounds, "seconds": arguments.seconds, **found}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
