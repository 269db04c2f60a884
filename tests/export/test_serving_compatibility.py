"""A model with an op that a version of TF Serving lacks is refused, with the op and the first version that has it."""

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.core.protobuf import saved_model_pb2

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.export.serving_compatibility import parsed_version


def saved(function, folder, *, spec=None):
    """Write a SavedModel of one function."""
    module = tf.Module()
    module.function = tf.function(function, input_signature=[spec or tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.function})
    return folder


def test_our_models_need_only_ops_of_tf_serving_2_12(classifier_folder):
    export.check_serving_version(classifier_folder, "2.12")
    assert export.first_serving_version(classifier_folder) == "2.12"


def test_an_op_of_a_later_text_library_is_named_with_its_first_version(tmp_path):
    def trimmed(text):
        return {"text": tf_text.RoundRobinTrimmer(3).trim([tf.strings.split(text)])[0].to_tensor()}

    folder = saved(trimmed, tmp_path / "trim")
    message = r"`TFText>RoundRobinTrim` \(first in 2.20\)\. Serve with TF Serving 2.20 or later"
    for version in ("2.12", "2.19.1"):
        with pytest.raises(BadInputError, match=message):
            export.check_serving_version(folder, version)
    export.check_serving_version(folder, "2.20.0")
    assert export.first_serving_version(folder) == "2.20"


def test_an_op_inside_a_function_of_a_function_is_found(tmp_path):
    @tf.function
    def inner(text):
        size = tf.size(text, tf.int64)
        filled = tf.raw_ops.RaggedFillEmptyRows(
            value_rowids=tf.range(size), values=tf.strings.length(text), nrows=size, default_value=0
        )
        return filled.output_values

    folder = saved(
        lambda text: {"length": tf.cond(tf.size(text) > 1, lambda: inner(text), lambda: tf.constant([0]))},
        tmp_path / "m",
    )
    with pytest.raises(BadInputError, match=r"`RaggedFillEmptyRows` \(first in 2.13\)"):
        export.check_serving_version(folder, "2.12")


def test_an_op_that_no_server_runs_is_refused(tmp_path):
    folder = saved(lambda text: {"text": tf.numpy_function(lambda x: x, [text], tf.string)}, tmp_path / "m")
    with pytest.raises(BadInputError, match=r"Func` \(in no version\)\. Build the model without these ops"):
        export.check_serving_version(folder, "2.20")
    assert export.first_serving_version(folder) is None


def test_an_attribute_that_an_older_server_would_ignore_is_refused(tmp_path):
    def best(scores):
        values, places = tf.raw_ops.TopKV2(input=scores, k=1, index_type=tf.int64)
        return {"values": values, "places": places}

    folder = saved(best, tmp_path / "m", spec=tf.TensorSpec([None, 3], tf.float32))
    with pytest.raises(BadInputError, match=r"`TopKV2.index_type` \(first in 2.13\)"):
        export.check_serving_version(folder, "2.12")
    export.check_serving_version(folder, "2.13")


def test_a_refused_model_leaves_no_version(classifier, text_to_inputs, tmp_path, monkeypatch):
    def refuse(folder, minimum):
        raise BadInputError("no")

    monkeypatch.setattr("kerasbert.export.saved_model.check_serving_version", refuse)
    with pytest.raises(BadInputError, match="no"):
        export.save(classifier, tmp_path, text_to_inputs, min_serving_version="2.12")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["2.11", "2.21", "3", "latest", "", 2.12])
def test_a_version_that_is_not_listed_is_refused(version):
    with pytest.raises(BadInputError, match=r"2\.12 to 2\.20\. Received: .*For example"):
        parsed_version(version)


def test_the_list_agrees_with_the_installed_tensorflow():
    folder = Path(tf.sysconfig.get_lib())
    program = Path(__file__).with_name("registered_ops.py")
    libraries = [folder / "libtensorflow_framework.so.2", folder / "libtensorflow_cc.so.2"]
    done = subprocess.run([sys.executable, program, *libraries], check=True, capture_output=True, text=True)
    installed = {name for name, op in json.loads(done.stdout).items() if op["cpu"] and not name.startswith("_")}
    listed = json.loads((importlib.resources.files("kerasbert.export") / "serving_ops.json").read_text())["tensorflow"]
    minor = [int(part) for part in tf.__version__.split(".")[:2]]
    expected = {
        name for version, names in listed.items() if [int(p) for p in version.split(".")] <= minor for name in names
    }
    # The wheels for GPUs also have these.
    assert installed - expected <= {name for name in installed if "Nccl" in name or "Cudnn" in name}
    # TensorFlow 2.21 removed this op. There is no TF Serving 2.21 yet.
    assert expected - installed <= {"TfLiteSubgraphExecute"}


def test_names_that_only_appear_in_logs_are_removed(classifier_folder):
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((classifier_folder / "saved_model.pb").read_bytes())
    nodes = message.meta_graphs[0].graph_def.node
    handles = [node for node in nodes if node.op == "VarHandleOp"]
    assert handles
    assert not any("debug_name" in node.attr for node in handles)
