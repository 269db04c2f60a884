"""The names and shapes of every weight in every layout are frozen: a change here breaks existing files.

`python tests/checkpoints/test_weight_names.py` writes the list anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.checkpoints.weight_names import (
    BACKBONE_PARTS,
    FORMATS,
    HEADS,
    PROJECTIONS,
    Projection,
    from_ours,
    is_of_backbone,
    shape_of,
    to_ours,
    weight_names,
)
from kerasbert.config import BertConfig
from kerasbert.config_dialects import OWN_DIALECT

FROZEN = Path(__file__).parent / "weight_names.json"
CONFIG = BertConfig(
    vocab_size=11,
    hidden_size=6,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=7,
    max_position_embeddings=9,
    type_vocab_size=3,
)
# Has every weight that a variant of the encoder may have, but for positions.
VARIANT = CONFIG.replace(norm_placement="sandwich", gated_feed_forward=True)
LABELS = 5
# The second has no bias.
DENSE = (Projection(12, 8, True, "2_Dense"), Projection(8, 4, False, "3_Dense"))
PARTS = (*BACKBONE_PARTS, *HEADS, PROJECTIONS)
ROWS = weight_names(PARTS, CONFIG, DENSE)
OWN_ROWS = [
    row
    for position_type in ("learned", "relative")
    for row in weight_names(PARTS, VARIANT.replace(position_type=position_type), DENSE)
]


def names_and_shapes() -> dict[str, dict[str, str]]:
    return {
        format: {
            str(row.named(format)): " x ".join(map(str, shape_of(row, format, CONFIG, LABELS)))
            for row in (OWN_ROWS if format == OWN_DIALECT else ROWS)
            if row.named(format)
        }
        for format in (*FORMATS, OWN_DIALECT)
    }


@pytest.mark.parametrize("format", [*FORMATS, OWN_DIALECT])
def test_names_and_shapes_are_as_frozen(format):
    assert names_and_shapes()[format] == json.loads(FROZEN.read_text())[format]


@pytest.mark.parametrize("format", FORMATS)
def test_no_two_weights_share_a_name(format):
    names = [row.named(format) for row in ROWS if row.named(format)]
    assert len(set(names)) == len(names)
    assert len({row.ours for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("format", FORMATS)
def test_converting_there_and_back_gives_the_same_array(format):
    generator = np.random.default_rng(0)
    sizes = {"V": 11, "P": 9, "S": 3, "H": 6, "A": 6, "I": 7, "C": LABELS}
    for row in ROWS:
        if row.named(format):
            ours = generator.normal(size=[sizes.get(axis) or int(axis) for axis in row.axes]).astype("float32")
            theirs = from_ours(row, format, ours, CONFIG)
            assert theirs.shape == shape_of(row, format, CONFIG, LABELS)
            assert theirs.flags.c_contiguous
            np.testing.assert_array_equal(to_ours(row, format, theirs, CONFIG), ours)


def test_layouts_differ_as_the_projects_document_them():
    row = next(row for row in ROWS if row.ours == "backbone.encoder_blocks.1.attention.query.kernel")
    ours = np.arange(36, dtype="float32").reshape(6, 6)
    np.testing.assert_array_equal(from_ours(row, "google_tf1", ours, CONFIG), ours)
    np.testing.assert_array_equal(from_ours(row, "hugging_face", ours, CONFIG), ours.T)
    with_heads = from_ours(row, "model_garden", ours, CONFIG)  # [H, N, D]
    np.testing.assert_array_equal(with_heads[:, 1, 2], ours[:, 1 * 3 + 2])
    output = next(row for row in ROWS if row.ours == "backbone.encoder_blocks.1.attention.output_dense.kernel")
    np.testing.assert_array_equal(from_ours(output, "keras_hub", ours, CONFIG)[1, 2], ours[1 * 3 + 2])  # [N, D, H]
    next_sentence = next(row for row in ROWS if row.ours == "next_sentence_head.kernel")
    assert shape_of(next_sentence, "google_tf1", CONFIG) == (2, 6)


@pytest.mark.parametrize("format", FORMATS)
def test_the_encoder_is_distinguished_from_the_heads(format):
    for row in ROWS:
        if row.named(format):
            assert is_of_backbone(str(row.named(format)), format) == (row.part in BACKBONE_PARTS)


if __name__ == "__main__":
    FROZEN.write_text(json.dumps(names_and_shapes(), indent=1) + "\n")
