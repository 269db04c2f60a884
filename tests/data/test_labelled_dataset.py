"""Batches of labelled texts: in order for evaluation, reshuffled and resumable for training."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.data import labelled_dataset

TEXTS = [f"{number} " + "x" * (number * 7 % 40) for number in range(53)]
TARGETS = np.arange(53, dtype=np.int32)


def to_inputs(texts):
    return {"text": texts, "length": tf.strings.length(texts)}


def batches(number=-1, targets=TARGETS, **arguments):
    dataset = labelled_dataset(TEXTS, targets, to_inputs, **({"batch_size": 8, "seed": 1} | arguments))
    return [(inputs["text"].tolist(), ids.tolist()) for inputs, ids in dataset.take(number).as_numpy_iterator()]


def numbers(many):
    return [number for _, ids in many for number in ids]


def test_evaluation_keeps_order_and_the_last_rows():
    many = batches()
    assert [len(ids) for _, ids in many] == [8] * 6 + [5]
    assert numbers(many) == list(range(53))
    assert [text.decode() for texts, _ in many for text in texts] == TEXTS


@pytest.mark.parametrize("length_window", [1, 4])
def test_training_goes_over_all_rows_in_another_order_each_epoch(length_window):
    many = batches(shuffle=True, epochs=None, number=52, length_window=length_window)
    assert all(text.decode() == TEXTS[number] for texts, ids in many for text, number in zip(texts, ids, strict=True))
    counts = np.bincount(numbers(many), minlength=53)
    assert set(counts) == {7, 8}  # 52 whole batches, and whole windows, are 7.8 epochs
    assert numbers(many)[:53] != numbers(many)[53:106]
    assert numbers(batches(shuffle=True, seed=2)) != numbers(batches(shuffle=True, seed=1))


@pytest.mark.parametrize("length_window", [1, 4])
def test_beginning_at_a_batch(length_window):
    arguments = {"shuffle": True, "epochs": None, "length_window": length_window}
    unbroken = batches(30, **arguments)
    for start in (1, 6, 7, 13, 20, 27):
        assert batches(3, start_batch=start, **arguments) == unbroken[start : start + 3]


def test_epochs_end():
    assert [len(ids) for _, ids in batches(shuffle=True, epochs=3)] == [8] * 19 + [7]
    assert len(numbers(batches(shuffle=True, epochs=3, start_batch=18))) == 159 - 18 * 8


def test_length_window_gathers_similar_lengths():
    def spread(length_window):
        many = batches(60, shuffle=True, epochs=None, length_window=length_window)
        return np.mean([np.std([len(text) for text in texts]) for texts, _ in many])

    assert spread(6) < 0.5 * spread(1)


@pytest.mark.parametrize(
    "targets", [np.eye(53, 4, dtype=np.float32), np.linspace(0, 1, 53, dtype=np.float32)], ids=["multi", "regression"]
)
def test_targets_keep_their_form(targets):
    dataset = labelled_dataset(TEXTS, targets, to_inputs, 53)
    _, chosen = next(dataset.as_numpy_iterator())
    np.testing.assert_array_equal(chosen, targets)


def test_pairs_and_no_targets():
    def both(texts):
        first, second = texts
        return {"joined": tf.strings.join([first, second], "|")}

    dataset = labelled_dataset((("a", "b"), ("c", "")), None, both, 4)
    assert [batch["joined"].tolist() for batch in dataset.as_numpy_iterator()] == [[b"a|c", b"b|"]]


def test_empty_texts():
    dataset = labelled_dataset(["", "", ""], None, lambda texts: {"length": tf.strings.length(texts)}, 2)
    assert [batch["length"].tolist() for batch in dataset.as_numpy_iterator()] == [[0, 0], [0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": TARGETS[:5]}, "one row for each text. Received: 5 targets for 53 texts"),
        ({"length_window": 4}, "needs `shuffle=True`"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        batches(**arguments)


def test_missing_texts_and_incomplete_pairs_are_rejected():
    with pytest.raises(ValueError, match="at least one text"):
        labelled_dataset([], None, to_inputs, 4)
    with pytest.raises(ValueError, match="1 first and 2 second"):
        labelled_dataset((["a"], ["b", "c"]), None, to_inputs, 4)
