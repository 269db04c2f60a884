"""The warm-up records are TF Serving's own messages, one for each signature, length and batch size, and they run."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kerasbert import export
from kerasbert.export.prediction_log import predict_log

CLASSIFIER_SIGNATURES = {
    "attention", "attention_layers", "classify", "embed", "examples",
    "serving_default", "text", "text_pair", "text_strict", "token_ids", "tokenize",
}  # fmt: skip


def logs(folder):
    """Read the records of a version with TF Serving's own classes."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def test_each_signature_has_a_request_of_each_length_and_batch_size(classifier_folder, classifier_signatures):
    sizes = {}
    for log in logs(classifier_folder):
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        signature = classifier_signatures[request.model_spec.signature_name]
        if kind == "predict_log":
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
            # make_ndarray leaves strings as they are, but in an array of objects.
            answer = signature(**inputs)
            batch = len(next(iter(inputs.values())))
        else:
            assert kind == "classify_log"
            examples = [example.SerializeToString() for example in request.input.example_list.examples]
            answer = signature(inputs=tf.constant(examples))
            batch = len(examples)
        assert all(len(values) == batch for values in answer.values())
        tokens = answer["token_ids"].shape[1] if "token_ids" in answer else None
        sizes.setdefault(request.model_spec.signature_name, []).append((batch, tokens))
    assert set(sizes) == CLASSIFIER_SIGNATURES
    # The preprocessing takes 24 tokens at most, so that of the lengths 8, 32 and 128 two are left.
    assert sizes["tokenize"] == [(1, 8), (8, 8), (1, 24), (8, 24)]
    assert all([batch for batch, _ in of] == [1, 8, 1, 8] for of in sizes.values())


def test_the_message_has_every_type_of_tensor():
    inputs = {
        "texts": np.array([["a", "ü"], ["", "x" * 300]], dtype=object),
        "ids": np.arange(3, dtype=np.int32),
        "nothing": np.zeros([0, 2], np.float32),
    }
    log = prediction_log_pb2.PredictionLog.FromString(predict_log("a signature", inputs))
    request = log.predict_log.request
    assert request.model_spec.signature_name == "a signature"
    assert set(request.inputs) == set(inputs)
    assert tf.make_ndarray(request.inputs["texts"]).tolist() == [[b"a", "ü".encode()], [b"", b"x" * 300]]
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["ids"]), inputs["ids"])
    assert tf.make_ndarray(request.inputs["nothing"]).shape == (0, 2)
    # What TF Serving's own class writes is read back the same.
    again = prediction_log_pb2.PredictionLog.FromString(log.SerializeToString(deterministic=True))
    assert again == log


def test_the_requests_can_be_chosen_or_left_out(classifier, text_to_inputs, tmp_path):
    small = export.WarmUp(lengths=[5], batch_sizes=[2])
    path = export.save(classifier, tmp_path, text_to_inputs, warm_up=small)
    assert len(logs(path)) == len(CLASSIFIER_SIGNATURES)
    export.write(classifier, tmp_path / "unversioned", text_to_inputs, warm_up=None)
    assert not (tmp_path / "unversioned" / "assets.extra" / "tf_serving_warmup_requests").exists()
    assert (tmp_path / "unversioned" / "saved_model.pb").exists()


def test_more_requests_than_the_server_accepts_are_refused(classifier, text_to_inputs, tmp_path):
    with pytest.raises(ValueError, match=r"at most 1000 .* Received: 1320"):
        export.save(classifier, tmp_path, text_to_inputs, warm_up=export.WarmUp([3], range(1, 121)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [{"lengths": [0]}, {"batch_sizes": [1.5]}, {"batch_sizes": [True]}])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be integers"):
        export.WarmUp(**arguments)
