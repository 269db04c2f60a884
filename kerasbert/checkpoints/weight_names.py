"""The table of weight names: the name of each of our weights in each format, and the order of its axes there.

Every format is read and written with the same rows, so that a name cannot differ between the two. kerasbert's own
format uses our names. Weights that only variants of the encoder have are in no other format. The modules in
`formats/` read and write files; `model_weights.py` checks and assigns the arrays.

Axes: V vocabulary, P positions, S segments, H hidden size, A = N heads * D head size (equal to H), I intermediate size,
C labels, R rows and Q columns of a table of distances; a number is itself.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kerasbert.config import BertConfig
from kerasbert.config_dialects import OWN_DIALECT

# The columns of the table.
FORMATS = ("google_tf1", "hugging_face", "model_garden", "keras_hub")

# Every BERT has these parts. The class of a model determines its other parts.
ENCODER_PARTS = ("embeddings", "encoder")
BACKBONE_PARTS = (*ENCODER_PARTS, "pooler")
HEADS = ("masked_lm", "next_sentence", "classifier", "span")
# The dense layers of a sentence encoder, whose number and sizes differ between models.
PROJECTIONS = "projections"
# How the names of the encoder's weights begin in each format.
_BACKBONE_PREFIXES = {
    "google_tf1": ("bert/",),
    "hugging_face": ("embeddings.", "encoder.", "pooler."),
    "model_garden": ("_",),
    "keras_hub": ("",),
    OWN_DIALECT: ("backbone.",),
}


@dataclasses.dataclass(frozen=True)
class Projection:
    """One dense layer of a sentence encoder.

    Attributes:
        inputs: The size of the vectors before the layer.
        units: The size of the vectors after the layer.
        use_bias: Whether the layer has a bias.
        folder: The folder of its step in sentence-transformers' layout.
    """

    inputs: int
    units: int
    use_bias: bool
    folder: str


@dataclasses.dataclass(frozen=True)
class WeightName:
    """One weight: its place and axes in our models, and its name in each format, or None if the format lacks it.

    `ours` is a path of attributes from the model, e.g. `backbone.encoder_blocks.0.attention.query.kernel`.
    """

    part: str
    ours: str
    axes: tuple[str, ...]
    google_tf1: str | None
    hugging_face: str | None
    model_garden: str | None
    keras_hub: str | None

    def named(self, format: str) -> str | None:
        """Returns the name in a format."""
        if format == OWN_DIALECT:
            return self.ours
        name: str | None = getattr(self, format)
        return name

    def filled(self, **values: Any) -> "WeightName":
        """Returns the row of one layer among several: every `{i}` becomes the layer's number, and so on."""
        names = [(self.named(column) or "").format(**values) or None for column in FORMATS]
        axes = tuple(axis.format(**values) for axis in self.axes)
        return WeightName(self.part, self.ours.format(**values), axes, *names)


def _row(part: str, ours: str, axes: str, *names: str | None) -> WeightName:
    padded = (*names, *[None] * (len(FORMATS) - len(names)))
    path = f"backbone.{ours}" if part in BACKBONE_PARTS else ours
    return WeightName(part, path, tuple(axes.split()), *padded)


# A plain BERT, for questions that do not depend on the number of blocks.
_ONE_BLOCK = BertConfig(num_hidden_layers=1)

# fmt: off
_ROWS = (
    # part, ours, axes | Google TF1 | Hugging Face (without the prefix `bert.`) | Model Garden (below the encoder, or
    # below a head) | keras-hub (attributes of its backbone)
    _row("embeddings", "embeddings.word_embeddings", "V H",
         "bert/embeddings/word_embeddings", "embeddings.word_embeddings.weight",
         "_embedding_layer/embeddings", "token_embedding.embeddings"),
    _row("embeddings", "embeddings.position_embeddings", "P H",
         "bert/embeddings/position_embeddings", "embeddings.position_embeddings.weight",
         "_position_embedding_layer/embeddings", "position_embedding.position_embeddings"),
    _row("embeddings", "embeddings.segment_embeddings", "S H",
         "bert/embeddings/token_type_embeddings", "embeddings.token_type_embeddings.weight",
         "_type_embedding_layer/embeddings", "segment_embedding.embeddings"),
    _row("embeddings", "embeddings.layer_norm.gamma", "H",
         "bert/embeddings/LayerNorm/gamma", "embeddings.LayerNorm.weight",
         "_embedding_norm_layer/gamma", "embeddings_layer_norm.gamma"),
    _row("embeddings", "embeddings.layer_norm.beta", "H",
         "bert/embeddings/LayerNorm/beta", "embeddings.LayerNorm.bias",
         "_embedding_norm_layer/beta", "embeddings_layer_norm.beta"),

    _row("encoder", "encoder_blocks.{i}.attention.query.kernel", "H A",
         "bert/encoder/layer_{i}/attention/self/query/kernel", "encoder.layer.{i}.attention.self.query.weight",
         "_transformer_layers/{i}/_attention_layer/_query_dense/kernel",
         "transformer_layers.{i}._self_attention_layer.query_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.attention.query.bias", "A",
         "bert/encoder/layer_{i}/attention/self/query/bias", "encoder.layer.{i}.attention.self.query.bias",
         "_transformer_layers/{i}/_attention_layer/_query_dense/bias",
         "transformer_layers.{i}._self_attention_layer.query_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.attention.key.kernel", "H A",
         "bert/encoder/layer_{i}/attention/self/key/kernel", "encoder.layer.{i}.attention.self.key.weight",
         "_transformer_layers/{i}/_attention_layer/_key_dense/kernel",
         "transformer_layers.{i}._self_attention_layer.key_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.attention.key.bias", "A",
         "bert/encoder/layer_{i}/attention/self/key/bias", "encoder.layer.{i}.attention.self.key.bias",
         "_transformer_layers/{i}/_attention_layer/_key_dense/bias",
         "transformer_layers.{i}._self_attention_layer.key_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.attention.value.kernel", "H A",
         "bert/encoder/layer_{i}/attention/self/value/kernel", "encoder.layer.{i}.attention.self.value.weight",
         "_transformer_layers/{i}/_attention_layer/_value_dense/kernel",
         "transformer_layers.{i}._self_attention_layer.value_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.attention.value.bias", "A",
         "bert/encoder/layer_{i}/attention/self/value/bias", "encoder.layer.{i}.attention.self.value.bias",
         "_transformer_layers/{i}/_attention_layer/_value_dense/bias",
         "transformer_layers.{i}._self_attention_layer.value_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.attention.output_dense.kernel", "A H",
         "bert/encoder/layer_{i}/attention/output/dense/kernel", "encoder.layer.{i}.attention.output.dense.weight",
         "_transformer_layers/{i}/_attention_layer/_output_dense/kernel",
         "transformer_layers.{i}._self_attention_layer.output_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.attention.output_dense.bias", "H",
         "bert/encoder/layer_{i}/attention/output/dense/bias", "encoder.layer.{i}.attention.output.dense.bias",
         "_transformer_layers/{i}/_attention_layer/_output_dense/bias",
         "transformer_layers.{i}._self_attention_layer.output_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.attention_norm.gamma", "H",
         "bert/encoder/layer_{i}/attention/output/LayerNorm/gamma",
         "encoder.layer.{i}.attention.output.LayerNorm.weight",
         "_transformer_layers/{i}/_attention_layer_norm/gamma",
         "transformer_layers.{i}._self_attention_layer_norm.gamma"),
    _row("encoder", "encoder_blocks.{i}.attention_norm.beta", "H",
         "bert/encoder/layer_{i}/attention/output/LayerNorm/beta", "encoder.layer.{i}.attention.output.LayerNorm.bias",
         "_transformer_layers/{i}/_attention_layer_norm/beta",
         "transformer_layers.{i}._self_attention_layer_norm.beta"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.intermediate_dense.kernel", "H I",
         "bert/encoder/layer_{i}/intermediate/dense/kernel", "encoder.layer.{i}.intermediate.dense.weight",
         "_transformer_layers/{i}/_intermediate_dense/kernel",
         "transformer_layers.{i}._feedforward_intermediate_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.intermediate_dense.bias", "I",
         "bert/encoder/layer_{i}/intermediate/dense/bias", "encoder.layer.{i}.intermediate.dense.bias",
         "_transformer_layers/{i}/_intermediate_dense/bias",
         "transformer_layers.{i}._feedforward_intermediate_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.output_dense.kernel", "I H",
         "bert/encoder/layer_{i}/output/dense/kernel", "encoder.layer.{i}.output.dense.weight",
         "_transformer_layers/{i}/_output_dense/kernel", "transformer_layers.{i}._feedforward_output_dense.kernel"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.output_dense.bias", "H",
         "bert/encoder/layer_{i}/output/dense/bias", "encoder.layer.{i}.output.dense.bias",
         "_transformer_layers/{i}/_output_dense/bias", "transformer_layers.{i}._feedforward_output_dense.bias"),
    _row("encoder", "encoder_blocks.{i}.output_norm.gamma", "H",
         "bert/encoder/layer_{i}/output/LayerNorm/gamma", "encoder.layer.{i}.output.LayerNorm.weight",
         "_transformer_layers/{i}/_output_layer_norm/gamma", "transformer_layers.{i}._feedforward_layer_norm.gamma"),
    _row("encoder", "encoder_blocks.{i}.output_norm.beta", "H",
         "bert/encoder/layer_{i}/output/LayerNorm/beta", "encoder.layer.{i}.output.LayerNorm.bias",
         "_transformer_layers/{i}/_output_layer_norm/beta", "transformer_layers.{i}._feedforward_layer_norm.beta"),

    _row("encoder", "encoder_blocks.{i}.attention_input_norm.gamma", "H"),
    _row("encoder", "encoder_blocks.{i}.attention_input_norm.beta", "H"),
    _row("encoder", "encoder_blocks.{i}.feed_forward_input_norm.gamma", "H"),
    _row("encoder", "encoder_blocks.{i}.feed_forward_input_norm.beta", "H"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.gate_dense.kernel", "H I"),
    _row("encoder", "encoder_blocks.{i}.feed_forward.gate_dense.bias", "I"),
    # The vectors of distances ("relative") or the numbers of buckets ("t5").
    _row("encoder", "encoder_blocks.{i}.attention.distance_table", "R Q"),
    _row("encoder", "encoder_blocks.{i}.last_norm.gamma", "H"),
    _row("encoder", "encoder_blocks.{i}.last_norm.beta", "H"),

    _row("pooler", "pooler.kernel", "H H",
         "bert/pooler/dense/kernel", "pooler.dense.weight", "_pooler_layer/kernel", "pooled_dense.kernel"),
    _row("pooler", "pooler.bias", "H",
         "bert/pooler/dense/bias", "pooler.dense.bias", "_pooler_layer/bias", "pooled_dense.bias"),

    _row("masked_lm", "masked_lm_head.transform_dense.kernel", "H H",
         "cls/predictions/transform/dense/kernel", "cls.predictions.transform.dense.weight", "masked_lm/dense/kernel"),
    _row("masked_lm", "masked_lm_head.transform_dense.bias", "H",
         "cls/predictions/transform/dense/bias", "cls.predictions.transform.dense.bias", "masked_lm/dense/bias"),
    _row("masked_lm", "masked_lm_head.layer_norm.gamma", "H",
         "cls/predictions/transform/LayerNorm/gamma", "cls.predictions.transform.LayerNorm.weight",
         "masked_lm/layer_norm/gamma"),
    _row("masked_lm", "masked_lm_head.layer_norm.beta", "H",
         "cls/predictions/transform/LayerNorm/beta", "cls.predictions.transform.LayerNorm.bias",
         "masked_lm/layer_norm/beta"),
    _row("masked_lm", "masked_lm_head.output_bias", "V",
         "cls/predictions/output_bias", "cls.predictions.bias", "masked_lm/output_bias/bias"),

    _row("next_sentence", "next_sentence_head.kernel", "H 2",
         "cls/seq_relationship/output_weights", "cls.seq_relationship.weight", "next_sentence/out_proj/kernel"),
    _row("next_sentence", "next_sentence_head.bias", "2",
         "cls/seq_relationship/output_bias", "cls.seq_relationship.bias", "next_sentence/out_proj/bias"),

    _row("classifier", "classifier.kernel", "H C",
         "output_weights", "classifier.weight", "classifier/out_proj/kernel"),
    _row("classifier", "classifier.bias", "C",
         "output_bias", "classifier.bias", "classifier/out_proj/bias"),

    _row("span", "span_classifier.kernel", "H 2",
         "cls/squad/output_weights", "qa_outputs.weight"),
    _row("span", "span_classifier.bias", "2",
         "cls/squad/output_bias", "qa_outputs.bias"),

    # In Hugging Face's column, sentence-transformers' names: the step's folder, and the name in its weights file.
    _row(PROJECTIONS, "projection_layers.{i}.kernel", "{inputs} {units}",
         "sentence_encoder/projection_{i}/kernel", "{folder}/linear.weight"),
    _row(PROJECTIONS, "projection_layers.{i}.bias", "{units}",
         "sentence_encoder/projection_{i}/bias", "{folder}/linear.bias"),
)
# fmt: on


def _has_input_norms(config: BertConfig) -> bool:
    return config.norm_placement in ("pre", "sandwich")


# A part of a name -> whether the encoder has such weights.
_CONDITIONS: dict[str, Callable[[BertConfig], bool]] = {
    "_input_norm.": _has_input_norms,
    "last_norm.": _has_input_norms,
    "attention_norm.": lambda config: config.norm_placement != "pre",
    "output_norm.": lambda config: config.norm_placement != "pre",
    ".position_embeddings": lambda config: config.position_type == "learned",
    ".distance_table": lambda config: config.position_type in ("relative", "t5"),
    "gate_dense.": lambda config: config.gated_feed_forward,
    ".bias": lambda config: config.use_bias,
    ".beta": lambda config: config.use_bias and config.norm_type == "layer_norm",
}


def _has(row: WeightName, config: BertConfig) -> bool:
    """Whether a model has the weight of a row. Only the encoder has variants, and only its last block a last norm."""
    if row.part not in ENCODER_PARTS:
        return True
    last = f"encoder_blocks.{config.num_hidden_layers - 1}."
    return ("last_norm." not in row.ours or last in row.ours) and all(
        condition(config) for text, condition in _CONDITIONS.items() if text in row.ours
    )


def weight_names(
    parts: Iterable[str], config: BertConfig = _ONE_BLOCK, projections: Sequence[Projection] = ()
) -> list[WeightName]:
    """Returns the rows of some parts: those of the encoder for each block, those of a projection for each of them.

    Args:
        parts: "embeddings", "encoder", "pooler", "masked_lm", "next_sentence", "classifier", "span", "projections".
        config: The encoder's config, whose number of blocks and variants decide which weights there are.
        projections: The projections of a sentence encoder.

    Example:
        >>> [row.hugging_face for row in weight_names(["pooler"])]
        ['pooler.dense.weight', 'pooler.dense.bias']
    """
    names = []
    for part in parts:
        rows = [row for row in _ROWS if row.part == part]
        if part == "encoder":
            names += [row.filled(i=index) for index in range(config.num_hidden_layers) for row in rows]
        elif part == PROJECTIONS:
            names += [
                row.filled(i=index, **dataclasses.asdict(projection))
                for index, projection in enumerate(projections)
                for row in rows
                if projection.use_bias or not row.ours.endswith(".bias")
            ]
        else:
            names += rows
    return [row for row in names if _has(row, config)]


def is_of_backbone(name: str, format: str) -> bool:
    """Returns whether a name in a format belongs to the encoder and not to a head, even if the weight is unknown."""
    return name.startswith(_BACKBONE_PREFIXES[format])


def shape_of(row: WeightName, format: str, config: BertConfig, num_labels: int = 1) -> tuple[int, ...]:
    """Returns the shape of a weight in a format."""
    sizes: dict[str, tuple[int, ...]] = {
        "V": (config.vocab_size,),
        "P": (config.max_position_embeddings,),
        "S": (config.type_vocab_size,),
        "H": (config.hidden_size,),
        "A": (config.hidden_size,),
        "I": (config.intermediate_size,),
        "C": (num_labels,),
    }
    heads = config.num_attention_heads
    is_t5 = config.position_type == "t5"
    sizes["R"] = (config.relative_buckets if is_t5 else 2 * config.relative_distance + 1,)
    sizes["Q"] = (heads if is_t5 else config.hidden_size // heads,)
    if _has_heads(format):
        sizes["A"] = (heads, config.hidden_size // heads)
    axes = tuple(reversed(row.axes)) if _is_transposed(row, format) else row.axes
    return tuple(size for axis in axes for size in (sizes[axis] if axis in sizes else (int(axis),)))


def to_ours(row: WeightName, format: str, array: np.ndarray, config: BertConfig) -> np.ndarray:
    """Converts an array from a format's axis order to ours. Its shape must be `shape_of` the row."""
    if _is_transposed(row, format):
        return array.T  # [out, in] -> [in, out]
    if _has_heads(format) and "A" in row.axes:
        sizes = {"A": config.hidden_size, "H": config.hidden_size}
        return array.reshape([sizes[axis] for axis in row.axes])  # [H, N, D] -> [H, N*D]
    return array


def from_ours(row: WeightName, format: str, array: np.ndarray, config: BertConfig) -> np.ndarray:
    """Converts an array from our axis order to a format's: the inverse of `to_ours`, contiguous in memory."""
    if _is_transposed(row, format):
        array = array.T  # [in, out] -> [out, in]
    elif _has_heads(format) and "A" in row.axes:
        array = array.reshape(shape_of(row, format, config))  # [H, N*D] -> [H, N, D]
    return np.ascontiguousarray(array)


def _is_transposed(row: WeightName, format: str) -> bool:
    """Whether a kernel is [out, in]: in PyTorch every dense kernel, in Google's format those named `output_weights`."""
    if format == "google_tf1":
        return (row.google_tf1 or "").endswith("output_weights")
    return format == "hugging_face" and row.ours.endswith(".kernel")


def _has_heads(format: str) -> bool:
    """Whether attention weights are stored with a separate axis for the heads."""
    return format in ("model_garden", "keras_hub")
