"""Small models with random weights, their exports (made once per session), and TensorFlow without Python."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.protobuf import saved_model_pb2

from kerasbert import export
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

LABELS = ["positive", "négative", 'very "odd"\nlabel']
WORDS = ["the", "play", "##ing", "good", "bad", "day", "ö", "日", "本"]


@pytest.fixture(scope="session")
def vocabulary():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return Vocabulary([*specials, *WORDS, *letters, *(f"##{letter}" for letter in letters), ".", ",", "[", "]", "!"])


@pytest.fixture(scope="session")
def text_to_inputs(vocabulary):
    return TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=24, padding="fixed")


@pytest.fixture(scope="session")
def make_backbone(vocabulary):
    def make(**overrides):
        sizes = {
            "vocab_size": len(vocabulary) + 3,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
        }
        keras.utils.set_random_seed(7)
        backbone = BertBackbone.from_config(BertConfig(**{**sizes, **overrides}))
        # The usual small initial weights make answers that differ by less than any tolerance.
        backbone.set_weights([weight + 0.3 * np.random.randn(*weight.shape) for weight in backbone.get_weights()])
        return backbone

    return make


@pytest.fixture(scope="session")
def classifier(make_backbone):
    model = BertSequenceClassifier(make_backbone(), num_labels=3)
    # Optimizer slots, which have no place in an export.
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="session")
def classifier_folder(classifier, text_to_inputs, tmp_path_factory):
    return export.save(classifier, tmp_path_factory.mktemp("classifier"), text_to_inputs, labels=LABELS)


@pytest.fixture(scope="session")
def classifier_signatures(classifier_folder):
    return _signatures(classifier_folder)


@pytest.fixture(scope="session")
def backbone(make_backbone):
    return make_backbone()


@pytest.fixture(scope="session")
def backbone_signatures(backbone, text_to_inputs, tmp_path_factory):
    return _signatures(export.save(backbone, tmp_path_factory.mktemp("backbone"), text_to_inputs))


@pytest.fixture(scope="session")
def pretrainer(make_backbone):
    return BertPretrainer(make_backbone())


@pytest.fixture(scope="session")
def pretrainer_signatures(pretrainer, text_to_inputs, tmp_path_factory):
    return _signatures(export.save(pretrainer, tmp_path_factory.mktemp("pretrainer"), text_to_inputs))


class _Signatures(dict):
    """Signature functions that keep their loaded module alive."""


def _signatures(folder):
    module = tf.saved_model.load(str(folder))
    signatures = _Signatures(module.signatures)
    signatures.module = module
    return signatures


@pytest.fixture(scope="session")
def native():
    """Run calls in TensorFlow's C library, as TF Serving does, in a process that does not import TensorFlow.

    Each call is a signature's name and its inputs. Each reply is the outputs by name, or the status code and message.
    """
    core = Path(tf.sysconfig.get_lib())
    op_libraries = sorted((Path(tf_text.__file__).parent / "python" / "ops").glob("*.so"))

    def run(folder, calls):
        message = saved_model_pb2.SavedModel()
        message.ParseFromString((folder / "saved_model.pb").read_bytes())
        definitions = message.meta_graphs[0].signature_def
        request = {
            "framework": str(core / "libtensorflow_framework.so.2"),
            "core": str(core / "libtensorflow_cc.so.2"),
            "op_libraries": [str(path) for path in op_libraries],
            "folder": str(folder),
            "calls": [
                {
                    "inputs": {definitions[name].inputs[key].name: _fed(value) for key, value in inputs.items()},
                    "outputs": [definitions[name].outputs[key].name for key in sorted(definitions[name].outputs)],
                }
                for name, inputs in calls
            ],
        }
        program = Path(__file__).with_name("native_session.py")
        done = subprocess.run(
            [sys.executable, program], input=json.dumps(request).encode(), capture_output=True, check=False
        )
        assert done.returncode == 0, f"the server process died: {done.returncode} {done.stderr[-2000:]!r}"
        return [
            (reply["code"], reply["message"])
            if "code" in reply
            else {
                key: _fetched(output)
                for key, output in zip(sorted(definitions[name].outputs), reply["outputs"], strict=True)
            }
            for (name, _), reply in zip(calls, json.loads(done.stdout), strict=True)
        ]

    return run


def _fed(value):
    """Encode a tensor for native_session.py."""
    array = np.asarray(value, dtype=None if isinstance(value, np.ndarray) else object)
    if array.dtype == object:
        texts = [text if isinstance(text, bytes) else text.encode() for text in array.ravel().tolist()]
        values = [base64.b64encode(text).decode() for text in texts]
        return {"dtype": tf.string.as_datatype_enum, "shape": list(array.shape), "values": values}
    return {
        "dtype": tf.as_dtype(array.dtype).as_datatype_enum,
        "shape": list(array.shape),
        "values": array.ravel().tolist(),
    }


def _fetched(output):
    """Decode a tensor of native_session.py."""
    values = output["values"]
    if output["dtype"] == tf.string.as_datatype_enum:
        values = np.array([base64.b64decode(value) for value in values], dtype=object)
    return np.array(values).reshape(output["shape"])
