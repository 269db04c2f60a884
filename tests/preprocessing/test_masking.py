"""Masked-LM masking follows the original's counts and shares, and is a function of seed and row only."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.preprocessing import MaskedLMMasker, Vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES += [f"w{i}" for i in range(500)] + [f"##s{i}" for i in range(500)]
VOCABULARY = Vocabulary(PIECES)


def batch(lengths, seed=0, low=5, high=None):
    """Rows [CLS] random pieces [SEP] of the lengths, specials counted."""
    draw = np.random.default_rng(seed)
    rows = [[2, *draw.integers(low, high or len(PIECES), length - 2).tolist(), 3] for length in lengths]
    return tf.ragged.constant(rows, dtype=tf.int32)


def original_count(length, rate, most):
    return min(most, max(1, round(length * rate)))


@pytest.mark.parametrize("whole_word", [False, True])
def test_counts_are_the_originals(whole_word):
    lengths = list(range(3, 260))
    high = 505 if whole_word else None  # words of one piece, so that whole words can always meet the count
    masked = MaskedLMMasker(VOCABULARY, whole_word=whole_word)(batch(lengths, high=high))
    counts = masked["masked_weights"].numpy().sum(axis=1).tolist()
    assert counts == [original_count(length, 0.15, 20) for length in lengths]


def test_outputs_describe_the_masking_exactly():
    tokens = batch([40, 3, 128, 200, 77])
    masked = MaskedLMMasker(VOCABULARY)(tokens, seed=[3, 4])
    dense, changed = tokens.to_tensor(0).numpy(), masked["token_ids"].to_tensor(0).numpy()
    assert masked["token_ids"].row_lengths().numpy().tolist() == tokens.row_lengths().numpy().tolist()
    assert masked["mask_positions"].shape == masked["masked_ids"].shape == masked["masked_weights"].shape == (5, 20)
    assert masked["mask_positions"].dtype == masked["masked_ids"].dtype == masked["token_ids"].dtype == tf.int32
    for row in range(5):
        weights = masked["masked_weights"][row].numpy()
        count = int(weights.sum())
        assert weights.tolist() == [1.0] * count + [0.0] * (20 - count)
        positions = masked["mask_positions"][row].numpy()
        assert (np.diff(positions[:count]) > 0).all()
        assert not positions[count:].any()
        assert not masked["masked_ids"][row].numpy()[count:].any()
        assert masked["masked_ids"][row].numpy()[:count].tolist() == dense[row, positions[:count]].tolist()
        assert set(np.flatnonzero(dense[row] != changed[row])) <= set(positions[:count].tolist())


def test_shares_and_uniformity():
    tokens = tf.RaggedTensor.from_tensor(batch([128] * 2000).to_tensor())
    masked = MaskedLMMasker(VOCABULARY)(tokens)
    positions = masked["mask_positions"].numpy()[masked["masked_weights"].numpy() > 0]
    originals = masked["masked_ids"].numpy()[masked["masked_weights"].numpy() > 0]
    rows = np.repeat(np.arange(2000), masked["masked_weights"].numpy().sum(axis=1).astype(int))
    replaced = masked["token_ids"].to_tensor().numpy()[rows, positions]
    assert abs((replaced == VOCABULARY.mask_id).mean() - 0.8) < 0.01
    assert abs((replaced == originals).mean() - 0.1) < 0.01
    pieces = replaced[(replaced != originals) & (replaced != VOCABULARY.mask_id)]
    assert abs(len(pieces) / len(positions) - 0.1) < 0.01
    assert abs(pieces.mean() / len(PIECES) - 0.5) < 0.02
    assert 0 <= pieces.min() <= pieces.max() < len(PIECES)
    assert len(np.unique(pieces)) > 950
    per_position = np.bincount(positions, minlength=128)
    assert per_position[0] == per_position[127] == 0
    expected = len(positions) / 126
    assert (np.abs(per_position[1:127] - expected) < 6 * expected**0.5).all()


@pytest.mark.parametrize("whole_word", [False, True])
def test_special_tokens_and_padding_are_never_masked(whole_word):
    rows = batch([64] * 200, low=0, high=12)  # special tokens in the middle, too
    masked = MaskedLMMasker(VOCABULARY, rate=1.0, max_predictions=64, whole_word=whole_word)(rows)
    dense = rows.to_tensor().numpy()
    special = np.isin(dense, VOCABULARY.special_ids)
    assert (masked["token_ids"].to_tensor().numpy()[special] == dense[special]).all()
    chosen = masked["masked_weights"].numpy().sum(axis=1)
    assert chosen.tolist() == (~special).sum(axis=1).tolist()


def test_the_same_seed_gives_the_same_masks_and_another_seed_others():
    tokens = batch([50] * 8)
    one, same = (MaskedLMMasker(VOCABULARY, seed=7)(tokens)["mask_positions"].numpy() for _ in range(2))
    other = MaskedLMMasker(VOCABULARY, seed=8)(tokens)["mask_positions"].numpy()
    called = MaskedLMMasker(VOCABULARY)(tokens, seed=tf.constant([0, 7], tf.int64))["mask_positions"].numpy()
    assert (one == same).all()
    assert (one == called).all()
    assert (one != other).any()
    seeds = [MaskedLMMasker(VOCABULARY)(tokens, seed=[a, b])["mask_positions"].numpy() for a in (0, 1) for b in (0, 1)]
    assert len({array.tobytes() for array in seeds}) == 4


@pytest.mark.parametrize("whole_word", [False, True])
def test_a_row_does_not_depend_on_the_others(whole_word):
    masker = MaskedLMMasker(VOCABULARY, whole_word=whole_word)
    long = batch([30, 200, 60])
    short = tf.ragged.constant([long[0].numpy().tolist()], dtype=tf.int32)
    together, alone = masker(long, seed=[1, 2]), masker(short, seed=[1, 2])
    assert together["mask_positions"][0].numpy().tolist() == alone["mask_positions"][0].numpy().tolist()
    assert together["token_ids"][0].numpy().tolist() == alone["token_ids"][0].numpy().tolist()


def words_of(row):
    """Positions of each maskable word, as the original groups them."""
    words = []
    for position, token in enumerate(row):
        if token in VOCABULARY.special_ids:
            continue
        continues = PIECES[token].startswith("##") and position > 0 and row[position - 1] not in VOCABULARY.special_ids
        if continues and words:
            words[-1].append(position)
        else:
            words.append([position])
    return words


def test_whole_words_are_masked_or_left_and_the_count_is_never_exceeded():
    tokens = batch([100] * 300)
    masked = MaskedLMMasker(VOCABULARY, whole_word=True)(tokens)
    met = 0
    for row in range(300):
        count = int(masked["masked_weights"][row].numpy().sum())
        chosen = set(masked["mask_positions"][row].numpy()[:count].tolist())
        words = words_of(tokens[row].numpy().tolist())
        assert all(chosen.issuperset(word) or chosen.isdisjoint(word) for word in words)
        assert count <= 15
        left = 15 - count
        assert all(len(word) > left for word in words if chosen.isdisjoint(word)) or left == 0
        met += left == 0
    assert met > 290


def test_whole_words_are_chosen_equally_often():
    row = [2, 5, 505, 6, 506, 507, 7, 8, 9, 3]  # words of 2, 3, 1, 1, 1 pieces
    tokens = tf.ragged.constant([row] * 4000, dtype=tf.int32)
    masked = MaskedLMMasker(VOCABULARY, rate=0.3, whole_word=True)(tokens)
    first = masked["mask_positions"].numpy()
    counts = np.bincount(first[masked["masked_weights"].numpy() > 0], minlength=10) / 4000
    # 3 pieces wanted; the orders of 5 words give the two-piece word 1/5 + 3/5*1/4 + 3/5*2/4*0 + ... by the greedy rule.
    draw = np.random.default_rng(0)
    words, expected = [[1, 2], [3, 4, 5], [6], [7], [8]], np.zeros(10)
    for _ in range(20000):
        left = 3
        for index in draw.permutation(5):
            if len(words[index]) <= left:
                left -= len(words[index])
                expected[words[index]] += 1 / 20000
    assert np.abs(counts - expected).max() < 0.03


def test_rows_without_a_maskable_token_and_empty_batches():
    masker = MaskedLMMasker(VOCABULARY, max_predictions=4)
    masked = masker(tf.ragged.constant([[2, 3], []], dtype=tf.int32))
    assert masked["token_ids"].to_list() == [[2, 3], []]
    assert masked["masked_weights"].numpy().sum() == 0
    empty = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), tf.zeros([1], tf.int64))
    for whole_word in (False, True):
        masked = MaskedLMMasker(VOCABULARY, max_predictions=4, whole_word=whole_word)(empty)
        assert masked["mask_positions"].shape == (0, 4)


def test_in_tf_data_with_a_seed_per_batch():
    masker = MaskedLMMasker(VOCABULARY, whole_word=True)
    rows = tf.data.Dataset.from_tensor_slices(batch([20] * 12)).ragged_batch(4).enumerate()
    dataset = rows.map(lambda index, tokens: masker(tokens, seed=tf.stack([tf.constant(5, tf.int64), index])))
    once, again = ([element["mask_positions"].numpy() for element in dataset] for _ in range(2))
    assert all((a == b).all() for a, b in zip(once, again, strict=True))
    assert dataset.element_spec["mask_positions"].shape == (None, 20)


@pytest.mark.parametrize(
    "bad", [{"rate": 0}, {"rate": 1.5}, {"max_predictions": 0}, {"mask_share": 0.95}, {"random_share": -0.1}]
)
def test_wrong_arguments_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        MaskedLMMasker(VOCABULARY, **bad)


def test_a_dense_batch_is_refused():
    with pytest.raises(ValueError, match="ragged"):
        MaskedLMMasker(VOCABULARY)(tf.zeros([2, 3], tf.int32))
