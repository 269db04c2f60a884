"""The two runtimes: TensorFlow's C library, and its Python package. Both give the same answers and the same errors."""

import shutil
import subprocess
import sys
import threading
import time

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from kerasbert_serving.server import Code, LocalServer, ServingError
from kerasbert_serving.server.runtimes import c_library
from kerasbert_serving.server.runtimes.runtime import find_runtime

DTYPES = "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool half bfloat16 complex64 complex128"
KINDS = ["c-library", "python"]


def identity(dtype):
    return tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec(None, dtype, "x")])


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A version folder of a model with variables, tables, an asset and every dtype."""
    vocabulary = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    vocabulary.write_text("card\nmoney\n")

    class Model(tf.Module):
        def __init__(self):
            columns = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
            words = tf.lookup.TextFileInitializer(str(vocabulary), *columns)
            self.table = tf.lookup.StaticHashTable(words, -1)
            self.weight = tf.Variable([2.0, 3.0])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
        def ids(self, words):
            return {"ids": self.table.lookup(words), "weights": tf.gather(self.weight, [0, 1])}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def positive(self, x):
            with tf.control_dependencies([tf.debugging.assert_positive(x, message="x must be positive")]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
        def slow(self, x):
            steps = tf.while_loop(lambda i, y: i < 10**9, lambda i, y: (i + 1, y * 0.5 + x), [0, x])
            return {"y": steps[1]}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
        def large(self, x):
            return {"y": tf.fill([2_500_000], x)}

    model = Model()
    signatures = {"ids": model.ids, "positive": model.positive, "slow": model.slow, "large": model.large}
    for name in [*DTYPES.split(), "string"]:
        function = identity(tf.as_dtype(name))
        setattr(model, f"echo_{name}", function)
        signatures[name] = function
    path = tmp_path_factory.mktemp("runtimes") / "1"
    tf.saved_model.save(model, str(path), signatures=signatures)
    vocabulary.unlink()  # only the copy among the assets is left
    return path


@pytest.fixture(scope="module")
def loaded(version):
    """The model in both runtimes, by kind."""
    models = {kind: find_runtime(kind).load(version, 0) for kind in KINDS}
    yield models
    for model in models.values():
        model.close()


def run(model, signature, array, fetched=None):
    definition = model.signatures[signature]
    [feed] = [info.name for info in definition.inputs.values()]
    fetches = fetched or [definition.outputs[name].name for name in sorted(definition.outputs)]
    return model.run((feed,), [array], tuple(fetches))


def strings(*values, shape=(-1,)):
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array.reshape(shape)


# === Answers ===


@pytest.mark.parametrize("name", DTYPES.split())
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 1), (1,) * 9])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_and_shape_comes_back(loaded, kind, name, shape):
    dtype = {"half": np.float16, "bfloat16": ml_dtypes.bfloat16}.get(name, name)
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    [answer] = run(loaded[kind], name, array)
    assert answer.dtype == array.dtype
    assert answer.shape == shape
    np.testing.assert_array_equal(answer, array)


@pytest.mark.parametrize("kind", KINDS)
def test_an_array_that_is_not_contiguous(loaded, kind):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(run(loaded[kind], "float32", array.T[::2])[0], array.T[::2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (30,), (2, 3, 5)])
def test_strings_of_every_length_come_back(loaded, kind, shape):
    lengths = [0, 1, 21, 22, 23, 24, 255, 256, 1_000_000, 3]
    values = [bytes([position % 256]) * lengths[position % 10] for position in range(int(np.prod(shape)))]
    if shape == ():
        values = [b"\0\xff one"]
    array = strings(*values, shape=shape)
    [answer] = run(loaded[kind], "string", array)
    assert answer.shape == shape
    assert answer.reshape(-1).tolist() == values


@pytest.mark.parametrize("kind", KINDS)
def test_tables_and_variables_are_initialized(loaded, kind):
    ids, weights = run(loaded[kind], "ids", strings(b"money", b"none", b"card"))
    assert ids.tolist() == [1, -1, 0]
    assert weights.tolist() == [2, 3]


def test_numbers_outlive_the_model_and_are_not_copied(version):
    model = find_runtime("c-library").load(version, 0)
    [answer] = run(model, "float32", np.arange(1000, dtype=np.float32))
    part = answer[500:]
    model.close()
    del answer, model
    np.testing.assert_array_equal(part, np.arange(500, 1000))
    assert not part.flags.owndata


def test_many_threads_share_a_session(loaded):
    wrong = []

    def ask(number):
        for _ in range(200):
            texts = strings(*[b"%d" % number * (number * 7)] * 3)
            if run(loaded["c-library"], "string", texts)[0].tolist() != texts.tolist():
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# === Errors ===


def failures(loaded, signature, array, **options):
    found = []
    for kind in KINDS:
        with pytest.raises(ServingError) as caught:
            run(loaded[kind], signature, array, **options)
        found.append((caught.value.code, caught.value.message))
    return found


def test_errors_of_the_graph_are_the_same(loaded):
    ours, theirs = failures(loaded, "positive", np.float32([1, -1]))
    assert ours[0] is Code.INVALID_ARGUMENT
    assert "x must be positive" in ours[1]
    assert ours == theirs


@pytest.mark.parametrize("fetched", ["no_such_operation:0", "StatefulPartitionedCall:99", "a:b:c", ""])
def test_the_error_for_an_unknown_tensor_is_the_same(loaded, fetched):
    ours, theirs = failures(loaded, "positive", np.float32([1]), fetched=[fetched])
    assert ours == theirs


def test_an_input_of_another_dtype_is_invalid(loaded):
    ours, theirs = failures(loaded, "positive", np.float64([1]))
    assert ours[0] is theirs[0] is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("kind", KINDS)
def test_runs_in_progress_are_cancelled_when_the_model_is_closed(version, kind):
    model = find_runtime(kind).load(version, 0)
    errors = []

    def ask():
        try:
            run(model, "slow", np.float32(1))
        except ServingError as error:
            errors.append(error.code)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.5)
    model.close()
    thread.join(60)
    assert errors == [Code.CANCELLED]
    model.close()
    with pytest.raises(ServingError):
        run(model, "slow", np.float32(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("break_version", "code"),
    [
        (lambda path: (path / "saved_model.pb").unlink(), Code.NOT_FOUND),
        (lambda path: (path / "saved_model.pb").write_bytes(b"\xff\xff"), Code.DATA_LOSS),
        (lambda path: (path / "saved_model.pb").write_bytes(b""), Code.NOT_FOUND),
        (lambda path: (path / "assets" / "words.txt").unlink(), None),
    ],
)
def test_a_broken_folder_is_refused(version, tmp_path, kind, break_version, code):
    shutil.copytree(version, tmp_path / "1")
    break_version(tmp_path / "1")
    with pytest.raises(ServingError) as caught:
        find_runtime(kind).load(tmp_path / "1", 0)
    assert code in (None, caught.value.code)
    assert caught.value.message


# === The choice ===


def test_the_python_package_is_used_if_there_is_no_c_library(monkeypatch, echo_version):
    monkeypatch.setitem(c_library._FILES, sys.platform, "libtensorflow_missing.so")
    assert find_runtime("auto").name == "python"
    with pytest.raises(ValueError, match="Choose 'auto' or 'python'") as caught:
        LocalServer(model_dir=echo_version.parent, tensorflow_runtime="c-library").__enter__()
    assert "has no C library" in str(caught.value)


def test_an_unknown_runtime_is_refused():
    with pytest.raises(ValueError, match="must be one of auto, c-library, python"):
        LocalServer(model_dir="a", tensorflow_runtime="fast")


def in_new_process(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]


SERVE_WITHOUT_TENSORFLOW = """
import json, sys, urllib.request
from kerasbert_serving.server import LocalServer

with LocalServer(model_dir=sys.argv[1], model_name="m", tensorflow_runtime="c-library") as server:
    body = json.dumps({"signature_name": sys.argv[2], "instances": [sys.argv[3]]}).encode()
    with urllib.request.urlopen(f"{server.rest_url}/v1/models/m:predict", body) as reply:
        print(reply.read())
    with urllib.request.urlopen(f"{server.rest_url}/v1/models/m/metadata") as reply:
        assert sys.argv[2].encode() in reply.read()
assert not {"tensorflow", "tensorflow_text", "keras", "kerasbert"} & set(sys.modules)
"""


def test_the_c_library_needs_no_python_code_of_tensorflow(echo_version):
    in_new_process(SERVE_WITHOUT_TENSORFLOW, echo_version.parent, "text", "a")


THEN_IMPORT = """
import tensorflow as tf
import tensorflow_text as tf_text
assert tf_text.WhitespaceTokenizer().tokenize(["a b"]).to_list() == [[b"a", b"b"]]
assert tf_text.normalize_utf8(["a"]).numpy().tolist() == [b"a"]
"""


def test_ops_of_tensorflow_text_are_loaded_and_both_packages_can_be_imported_afterwards(tmp_path):
    import tensorflow_text as tf_text

    class Text(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def normalize(self, x):
            return {"y": tf_text.normalize_utf8(tf_text.case_fold_utf8(x))}

    module = Text()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"normalize": module.normalize})
    in_new_process(SERVE_WITHOUT_TENSORFLOW + THEN_IMPORT, tmp_path, "normalize", "A")


# === Memory ===


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("fails", [False, True])
def test_memory_does_not_grow_over_10000_requests(version, fails):
    model = find_runtime("c-library").load(version, 0)
    long = strings(*[b"x" * 1000] * 20)
    numbers = np.float32([1] * 1000 + [-1] * fails)

    def ask(count):
        for _ in range(count):
            run(model, "string", long)
            try:
                run(model, "positive", numbers)
            except ServingError:
                assert fails

    ask(1000)
    before = resident_bytes()
    ask(10_000)
    model.close()
    # A leak of each request's texts alone would be 200 MB.
    assert resident_bytes() - before < 20e6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_answers_and_unloaded_models_are_freed(version, tmp_path):
    runtime = find_runtime("c-library")
    sizes = []
    for _ in range(6):
        model = runtime.load(version, 0)
        for _ in range(10):
            assert run(model, "large", np.float32(1))[0].nbytes == 10_000_000
        model.close()
        sizes.append(resident_bytes())
    assert sizes[-1] - sizes[1] < 40e6
