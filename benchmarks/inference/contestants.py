"""The table of what is compared: each way to run a model, and the files that it needs.

A new precision of ours is one more entry in `PRECISIONS`. Another peer is one more line in `PEERS`, with a constraints
file in requirements/bench/ and a module in workers/.
"""

from dataclasses import dataclass, field
from typing import Any

# What `kerasbert export --precision` accepts. float32 is written without the option.
PRECISIONS = ("float32", "bfloat16", "int8")
OURS = "kerasbert"
# kerasbert in the environment of `make test-latest`, with the newest TensorFlow.
OURS_LATEST = "kerasbert_latest"


@dataclass(frozen=True)
class Contestant:
    """A way to run a model.

    Attributes:
        name: name of the row.
        environment: the environment; see `environments.py`.
        worker: module in workers/.
        kinds: the kinds of jobs that it is compared in.
        precision: its class. Ratios compare contestants of a class.
        files: the entry of `FILES` that it needs, next to the model folder.
        options: arguments of the worker. `{model}` is the model folder.
    """

    name: str
    environment: str
    worker: str
    kinds: tuple[str, ...]
    precision: str = "float32"
    files: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether this is kerasbert."""
        return self.environment in (OURS, OURS_LATEST)


@dataclass(frozen=True)
class Conversion:
    """A command that writes files for a library into a folder inside of the model folder.

    Attributes:
        environment: the environment that runs it.
        command: arguments of Python. `{model}` is the model folder, `{target}` the folder to write, and `{texts}` a
            JSON file with texts for calibration.
        needs: other entries of `FILES`.
        fresh: whether files of an earlier run are never used.
    """

    environment: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    fresh: bool = False


def _export(environment: str, precision: str) -> Conversion:
    """Return the export of a SavedModel."""
    command = ("-m", "kerasbert", "export", "{model}", "{target}", "--no-warm-up")
    option = () if precision == "float32" else ("--precision", precision)
    return Conversion(environment, (*command, *option), fresh=True)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a module in conversion/."""
    return ("-m", f"benchmarks.inference.conversion.{name}", "{model}", "{target}", *arguments)


FILES = {
    **{f"{each}_{kind}": _export(each, kind) for each in (OURS, OURS_LATEST) for kind in PRECISIONS},
    "onnx": Conversion("pytorch", _module("onnx_graph")),
    "onnx_fused": Conversion("onnxruntime", _module("onnxruntime_graph"), ("onnx",)),
    "onnx_int8": Conversion("onnxruntime", _module("onnxruntime_graph", "int8"), ("onnx",)),
    "openvino_int8": Conversion("openvino", _module("openvino_int8", "{texts}"), ("onnx",)),
}

_MODEL = {"path": "{model}"}
_BOTH = ("texts", "ids")


def _ours(environment: str, label: str) -> list[Contestant]:
    """Return the rows of kerasbert in one environment."""
    saved_models = [
        Contestant(
            f"{label} {precision}",
            environment,
            "kerasbert_model",
            _BOTH,
            precision,
            f"{environment}_{precision}",
            {"path": f"{{model}}/{environment}_{precision}"},
        )
        for precision in PRECISIONS
    ]
    commands = Contestant(
        f"{label} commands", environment, "kerasbert_commands", ("embed", "predict", "evaluate"), options=_MODEL
    )
    return [*saved_models, commands]


def _transformers(precision: str, compiled: bool = False) -> Contestant:
    name = "torch.compile" if compiled else "transformers"
    options = {**_MODEL, "precision": precision, "compiled": compiled}
    return Contestant(f"{name} {precision}", "pytorch", "transformers_model", _BOTH, precision, None, options)


def _sentence_transformers(precision: str) -> Contestant:
    options = {**_MODEL, "precision": precision}
    kinds = ("texts", "embed")
    name = f"sentence-transformers {precision}"
    return Contestant(name, "pytorch", "sentence_transformers_model", kinds, precision, None, options)


def _pipeline(precision: str) -> Contestant:
    options = {**_MODEL, "precision": precision}
    kinds = ("predict", "evaluate")
    name = f"transformers pipeline {precision}"
    return Contestant(name, "pytorch", "transformers_pipeline", kinds, precision, None, options)


def _onnxruntime(precision: str, files: str) -> Contestant:
    options = {**_MODEL, "graph": f"{files}/model.onnx"}
    name = f"ONNX Runtime {precision}"
    return Contestant(name, "onnxruntime", "onnxruntime_model", _BOTH, precision, files, options)


def _openvino(precision: str, files: str, graph: str) -> Contestant:
    options = {**_MODEL, "graph": f"{files}/{graph}", "precision": "float32" if precision == "int8" else precision}
    return Contestant(f"OpenVINO {precision}", "openvino", "openvino_model", _BOTH, precision, files, options)


def _product(library: str, precision: str, environment: str, worker: str) -> Contestant:
    options = {"precision": precision}
    return Contestant(f"{library} product {precision}", environment, worker, ("matmul",), precision, None, options)


PEERS = [
    _transformers("float32"),
    _transformers("bfloat16"),
    _transformers("float32", compiled=True),
    _transformers("bfloat16", compiled=True),
    _sentence_transformers("float32"),
    _sentence_transformers("bfloat16"),
    _pipeline("float32"),
    _pipeline("bfloat16"),
    _onnxruntime("float32", "onnx_fused"),
    _onnxruntime("int8", "onnx_int8"),
    _openvino("float32", "onnx", "model.onnx"),
    _openvino("bfloat16", "onnx", "model.onnx"),
    _openvino("int8", "openvino_int8", "model.xml"),
    Contestant("keras-hub float32", "keras_hub", "keras_hub_model", _BOTH, options=_MODEL),
    Contestant(
        "FastEmbed float32",
        "fastembed",
        "fastembed_model",
        ("texts", "embed"),
        "float32",
        "onnx_fused",
        {**_MODEL, "graph": "onnx_fused/model.onnx"},
    ),
    Contestant("tokenizers", "tokenizers", "tokenizers_library", ("tokenize",), "text", None, _MODEL),
]

TOKENIZERS = [
    Contestant("kerasbert, exact", OURS, "kerasbert_tokenizer", ("tokenize",), "text", None, _MODEL),
    Contestant(
        "kerasbert on TensorFlow 2.21, exact", OURS_LATEST, "kerasbert_tokenizer", ("tokenize",), "text", None, _MODEL
    ),
]

# The largest matrix products of the libraries measure what the machine can do.
PRODUCTS = [
    _product("TensorFlow", "float32", OURS, "tensorflow_matmul"),
    _product("PyTorch", "float32", "pytorch", "pytorch_matmul"),
    _product("TensorFlow", "bfloat16", OURS, "tensorflow_matmul"),
    _product("PyTorch", "bfloat16", "pytorch", "pytorch_matmul"),
    _product("PyTorch", "int8", "pytorch", "pytorch_matmul"),
    _product("ONNX Runtime", "int8", "onnxruntime", "onnxruntime_matmul"),
]

CONTESTANTS = [
    *_ours(OURS, "kerasbert"),
    *_ours(OURS_LATEST, "kerasbert on TensorFlow 2.21"),
    *TOKENIZERS,
    *PEERS,
    *PRODUCTS,
]
