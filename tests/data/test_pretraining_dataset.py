"""Pretraining batches: their content, that they depend on seed and number only, and that a run can begin at any."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.data import SegmentPair, pretraining_dataset, read_pairs, write_pairs
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import LinearMaskRate, MaskedLMMasker, SegmentPacker, Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = Vocabulary(SPECIAL + [f"w{index}" for index in range(995)])
PACK = SegmentPacker(VOCABULARY, sequence_length=32)
MASK = MaskedLMMasker(VOCABULARY, max_predictions=5)
NUM_PAIRS = 101


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs whose first token is their number."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(NUM_PAIRS):
        first, second = (rng.integers(5, 1000, rng.integers(1, 14)).astype(np.int32) for _ in range(2))
        first[0] = 5 + number
        pairs.append(SegmentPair(first, second, bool(number % 2)))
    path = tmp_path_factory.mktemp("data") / "pairs"
    write_pairs(pairs, path, 3)
    return path


def plain_pack(first, second):
    """[CLS] first [SEP] second [SEP], quick to trace."""
    cls, sep = (tf.fill([first.nrows(), 1], token) for token in (VOCABULARY.cls_id, VOCABULARY.sep_id))
    start, rest = tf.concat([cls, first, sep], 1), tf.concat([second, sep], 1)
    return tf.concat([start, rest], 1), tf.concat([tf.zeros_like(start), tf.ones_like(rest)], 1)


def plain_mask(token_ids, seed):
    """Draws positions between the special tokens and masks nothing there, quick to trace."""
    positions = tf.random.stateless_uniform([token_ids.nrows(), 5], seed, 1, 3, tf.int32)
    ids = tf.gather(token_ids, positions, batch_dims=1)
    return {
        "token_ids": token_ids,
        "mask_positions": positions,
        "masked_ids": ids,
        "masked_weights": tf.ones_like(positions, tf.float32),
    }


def dataset(folder, pack=plain_pack, mask=plain_mask, **arguments):
    return pretraining_dataset(folder, pack, mask, **({"batch_size": 8, "seed": 7} | arguments))


def batches(number, *args, **arguments):
    return list(dataset(*args, **arguments).take(number).as_numpy_iterator())


def as_bytes(batch):
    return [(name, value.shape, value.tobytes()) for part in batch for name, value in sorted(part.items())]


def unmasked(batch):
    """Token ids with the masked ones put back."""
    x, y, weight = batch
    ids = x["token_ids"].copy()
    for row, column in zip(*np.nonzero(weight["masked_lm"]), strict=True):
        ids[row, x["mask_positions"][row, column]] = y["masked_lm"][row, column]
    return ids


def numbers(many):
    return [int(ids[1]) - 5 for batch in many for ids in unmasked(batch)]


def test_a_batch_contains_inputs_targets_and_weights(folder):
    x, y, weight = batches(1, folder, pack=PACK, mask=MASK)[0]
    assert set(x) == {"token_ids", "segment_ids", "padding_mask", "mask_positions"}
    assert all(value.dtype == np.int32 and value.ndim == 2 for value in x.values())
    assert x["token_ids"].shape == x["segment_ids"].shape == x["padding_mask"].shape
    assert x["token_ids"].shape[1] % 8 == 0
    assert y["masked_lm"].shape == weight["masked_lm"].shape == x["mask_positions"].shape == (8, 5)
    assert y["next_sentence"].tolist() == [number % 2 for number in numbers([(x, y, weight)])]
    assert weight["next_sentence"].tolist() == [1.0] * 8
    assert weight["masked_lm"].dtype == weight["next_sentence"].dtype == np.float32
    assert y["masked_lm"].dtype == y["next_sentence"].dtype == np.int32
    for row in range(8):
        length = x["padding_mask"][row].sum()
        assert x["padding_mask"][row].tolist() == [1] * length + [0] * (x["token_ids"].shape[1] - length)
        assert (x["token_ids"][row, length:] == 0).all()
        assert (x["segment_ids"][row, length:] == 0).all()
        assert x["token_ids"][row, 0] == VOCABULARY.cls_id
        assert x["token_ids"][row, length - 1] == VOCABULARY.sep_id
        assert (x["mask_positions"][row] < length).all()


def test_element_spec_is_what_a_model_needs(folder):
    x, y, weight = dataset(folder, pack=PACK, mask=MASK).element_spec
    assert x["token_ids"] == tf.TensorSpec([None, None], tf.int32)
    assert x["mask_positions"] == y["masked_lm"] == tf.TensorSpec([None, 5], tf.int32)
    assert weight["masked_lm"] == tf.TensorSpec([None, 5], tf.float32)
    x, _, _ = dataset(folder, pad_to_multiple=32, sequence_length=32).element_spec
    assert x["token_ids"] == tf.TensorSpec([None, 32], tf.int32)


@pytest.mark.parametrize("shuffle_buffer", [0, 16, 10_000])
@pytest.mark.parametrize("length_window", [1, 4])
def test_each_epoch_goes_over_each_pair_once(folder, shuffle_buffer, length_window):
    seen = numbers(batches(NUM_PAIRS, folder, shuffle_buffer=shuffle_buffer, length_window=length_window))
    window = 8 * length_window
    whole = NUM_PAIRS * 8 // window * window
    counts = np.bincount(seen[:whole], minlength=NUM_PAIRS)
    assert counts.min() >= whole // NUM_PAIRS
    assert counts.max() <= -(-whole // NUM_PAIRS)


def test_each_epoch_has_another_order_and_other_masks(folder):
    many = batches(NUM_PAIRS, folder, shuffle_buffer=16, batch_size=1)
    again = batches(2 * NUM_PAIRS, folder, shuffle_buffer=16, batch_size=1)[NUM_PAIRS:]
    first, second = numbers(many), numbers(again)
    assert sorted(first) == sorted(second) == list(range(NUM_PAIRS))
    assert first != second
    masked = [dict(zip(order, map(as_bytes, epoch), strict=True)) for order, epoch in ((first, many), (second, again))]
    differing = sum(masked[0][number] != masked[1][number] for number in range(NUM_PAIRS))
    assert differing > NUM_PAIRS / 2


def test_shuffling_reaches_beyond_the_files(folder):
    seen = numbers(batches(13, folder, shuffle_buffer=10_000))[:NUM_PAIRS]
    assert np.corrcoef(seen, range(NUM_PAIRS))[0, 1] < 0.5
    assert numbers(batches(13, folder, seed=8))[:NUM_PAIRS] != seen


@pytest.mark.parametrize(("length_window", "shuffle_buffer"), [(1, 16), (3, 16), (3, 0), (1, 10_000)])
def test_beginning_at_a_batch_equals_an_uninterrupted_run(folder, length_window, shuffle_buffer):
    """101 pairs in batches of 8 are 12.6 batches an epoch: the batches here lie in, at and across epochs."""
    arguments = {"length_window": length_window, "shuffle_buffer": shuffle_buffer}
    unbroken = [as_bytes(batch) for batch in batches(45, folder, **arguments)]
    for start in (1, 13, 25, 38):
        resumed = [as_bytes(batch) for batch in batches(4, folder, start_batch=start, **arguments)]
        assert resumed == unbroken[start : start + 4], start


def test_real_packing_and_masking_resume_too(folder):
    unbroken = [as_bytes(batch) for batch in batches(30, folder, pack=PACK, mask=MASK)]
    resumed = batches(3, folder, pack=PACK, mask=MASK, start_batch=27)
    assert [as_bytes(batch) for batch in resumed] == unbroken[27:]


def test_the_global_seed_of_tensorflow_plays_no_part(folder):
    tf.random.set_seed(1)
    first = [as_bytes(batch) for batch in batches(20, folder)]
    tf.random.set_seed(0)
    assert [as_bytes(batch) for batch in batches(20, folder)] == first
    assert [as_bytes(batch) for batch in dataset(folder).take(20).as_numpy_iterator()] == first


def test_skipped_batches_are_not_packed(folder):
    calls = []

    def pack(first, second):
        tf.py_function(lambda: calls.append(1), [], [])
        return plain_pack(first, second)

    list(dataset(folder, pack=pack, start_batch=1000, epochs=80).take(1))
    assert len(calls) < 100


def test_similar_lengths_together_save_padding(folder):
    def padding(length_window):
        masks = [x["padding_mask"] for x, _, _ in batches(50, folder, length_window=length_window, pad_to_multiple=1)]
        return 1 - np.mean(np.concatenate([mask.ravel() for mask in masks]))

    assert padding(12) < 0.6 * padding(1)


def test_batches_of_a_window_come_in_random_order(folder):
    widths = [x["token_ids"].shape[1] for x, _, _ in batches(24, folder, length_window=12, pad_to_multiple=1)]
    assert widths[:12] != sorted(widths[:12])
    assert np.argsort(widths[:12]).tolist() != np.argsort(widths[12:]).tolist()


def test_once_through_in_the_order_of_the_files(folder):
    once = batches(-1, folder, epochs=1, shuffle_buffer=0)
    assert [len(x["token_ids"]) for x, _, _ in once] == [8] * 12 + [5]
    assert numbers(once) == [number for shard in range(3) for number in range(shard, NUM_PAIRS, 3)]
    again = batches(-1, folder, epochs=1, shuffle_buffer=0)
    assert [as_bytes(batch) for batch in again] == [as_bytes(batch) for batch in once]
    assert len(batches(-1, folder, epochs=1, shuffle_buffer=0, length_window=5)) == 13
    assert batches(-1, folder, epochs=1, start_batch=40) == []


def test_padding_never_exceeds_the_sequence_length(folder):
    widths = {x["token_ids"].shape[1] for x, _, _ in batches(13, folder, pad_to_multiple=24, sequence_length=32)}
    assert widths <= {24, 32}
    assert 32 in widths
    for x, _, _ in batches(3, folder, pad_to_multiple=32, sequence_length=32):
        assert x["token_ids"].shape == (8, 32)


def test_another_padding_id(folder):
    x, _, _ = batches(1, folder, pad_id=9, pad_to_multiple=64)[0]
    assert (x["token_ids"][x["padding_mask"] == 0] == 9).all()


def test_gzipped_and_plain_files_give_the_same(folder, tmp_path):
    write_pairs(read_pairs(folder), tmp_path / "plain", 1)
    write_pairs(read_pairs(folder), tmp_path / "packed", 1, compress=True)
    plain, packed = (batches(20, tmp_path / name) for name in ("plain", "packed"))
    assert [as_bytes(batch) for batch in plain] == [as_bytes(batch) for batch in packed]
    resumed = batches(2, tmp_path / "packed", start_batch=17)
    assert [as_bytes(batch) for batch in resumed] == [as_bytes(batch) for batch in plain[17:19]]


def test_bad_files_and_arguments(folder, tmp_path):
    with pytest.raises(BadInputError, match="does not"):
        dataset(tmp_path / "missing")
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    with pytest.raises(BadInputError, match="at least one record"):
        dataset(tmp_path)
    (tmp_path / "readme.txt").write_text("This is no file of records, whatever its folder says.")
    with pytest.raises(BadInputError, match=r"contain whole records. Received: '.*readme.txt'"):
        dataset(tmp_path)
    for arguments in ({"batch_size": 0}, {"start_batch": -1}, {"length_window": 0}, {"pad_to_multiple": 0}):
        with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be at least"):
            dataset(folder, **arguments)


def test_a_masking_rate_that_changes_depends_on_the_number_of_the_batch_only(folder):
    mask = LinearMaskRate(MaskedLMMasker(VOCABULARY, max_predictions=20), first=0.5, last=0.1, steps=6, first_step=1)
    whole = list(pretraining_dataset(folder, plain_pack, mask, 16, seed=0).take(6))
    for number, (x, _, weights) in enumerate(whole):
        rate = 0.5 + (0.1 - 0.5) * min((number + 1) / 5, 1.0)
        lengths = x["padding_mask"].numpy().sum(1)
        np.testing.assert_array_equal(weights["masked_lm"].numpy().sum(1), np.maximum(1, np.round(lengths * rate)))
    resumed = pretraining_dataset(folder, plain_pack, mask, 16, seed=0, start_batch=3).take(3)
    for batch, expected in zip(resumed, whole[3:], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, expected)
