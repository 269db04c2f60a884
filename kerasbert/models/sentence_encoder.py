"""Encodes a text as one vector, so that texts can be compared (Sentence-BERT).

Comparing and searching vectors is up to the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasbert.argument_checks import check_activation, check_choice, check_positive_integer
from kerasbert.errors import BadInputError
from kerasbert.layers import Pooling
from kerasbert.layers.activations import activation_function
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, H hidden size, E numbers of a vector

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@keras.saving.register_keras_serializable(package="kerasbert")
class BertSentenceEncoder(BackboneTask):
    """Hidden states pooled over the real tokens, optionally projected by dense layers, and scaled to length 1.

    Inputs: the backbone's inputs. Output: `[B, E]`, where E is the `units` of the last projection or, without
        projections, H per pooling. Normalized vectors are float32 in every dtype policy, because squares of
        half-precision numbers
    overflow.

    Args:
        backbone: a `BertBackbone`.
        pooling: "mean", "cls" (the first hidden state, without the pooler), "max" or another mode of `Pooling`; or
            several modes, whose vectors are concatenated.
        normalize: whether to scale each vector to L2 length 1, so that dot products are cosine similarities.
        projections: the dense layers between pooling and normalization, in order. Each is a dict of arguments of a
            Keras `Dense` layer: `units`, `activation` (default "linear"; "tanh", "relu", "gelu_erf", "gelu_tanh" or
            the name of another Keras activation) and `use_bias` (default True).
        prompts: texts that callers put in front of others, by name, e.g. `{"query": "query: "}`. Like the next two,
            they are kept with the model and change nothing here.
        default_prompt_name: the name of the prompt for every text, which must be an empty one. None means no prompt.
        similarity: the function that the vectors are meant to be compared with: "cosine", "dot", "euclidean" or
            "manhattan". None leaves it open.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is invalid.

    Source: Reimers and Gurevych 2019, section 3; sentence-transformers, `Pooling`, `Dense` and `Normalize`. Feng et al.
    2022, LaBSE, is "cls" with one projection of 768 units and "tanh".

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> model = BertSentenceEncoder(backbone, "cls", projections=[{"units": 3, "activation": "tanh"}])
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> vectors = model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids})
        >>> tuple(vectors.shape), [round(float(length), 3) for length in keras.ops.norm(vectors, axis=-1)]
        ((2, 3), [1.0, 1.0])
    """

    _ARGUMENTS = ("pooling", "normalize", "projections", "prompts", "default_prompt_name", "similarity")

    def __init__(
        self,
        backbone: BertBackbone,
        pooling: str | Sequence[str] = "mean",
        normalize: bool = True,
        projections: Sequence[Mapping[str, Any]] = (),
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity: str | None = None,
        **kwargs: Any,
    ):
        check_backbone(backbone)
        _check_flag("normalize", normalize, "Most sentence encoders use True: vectors of length 1.")
        projections = check_projections(projections)
        prompts = _checked_prompts(prompts or {}, default_prompt_name)
        similarity = None if similarity is None else check_choice("similarity", similarity, SIMILARITIES)

        # === Layers ===
        pooling_layer = Pooling(pooling, dtype=backbone.dtype_policy, name="pooling")
        projection_layers = [
            keras.layers.Dense(
                projection["units"],
                activation=activation_function(projection["activation"]),
                use_bias=projection["use_bias"],
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=backbone.initializer_range),
                dtype=backbone.dtype_policy,
                name=f"projection_{index}",
            )
            for index, projection in enumerate(projections)
        ]
        normalization = keras.layers.UnitNormalization(axis=-1, dtype="float32", name="normalization")

        # === Functional model ===
        inputs = backbone.input
        vectors = pooling_layer(backbone.output["sequence_output"], padding_mask=inputs["padding_mask"])
        for layer in projection_layers:
            vectors = layer(vectors)
        super().__init__(backbone, inputs=inputs, outputs=normalization(vectors) if normalize else vectors, **kwargs)

        # === Config ===
        self.pooling = pooling_layer.mode
        self.normalize = normalize
        self.projections = projections
        self.prompts = prompts
        self.default_prompt_name = default_prompt_name
        self.similarity = similarity
        self.projection_layers = projection_layers

    @property
    def embedding_size(self) -> int:
        """E, the size of a vector."""
        return int(self.output.shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values."""
        return {
            **super().get_config(),
            "pooling": self.pooling if isinstance(self.pooling, str) else list(self.pooling),
            "projections": [dict(projection) for projection in self.projections],
            "prompts": dict(self.prompts),
        }


def _checked_prompts(prompts: Any, default_name: Any) -> dict[str, str]:
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for pair in prompts.items() for text in pair):
        raise BadInputError(
            f"`prompts` must be a dict of names and texts. Received: prompts={prompts!r}. "
            "For example, {'query': 'query: '}."
        )
    if default_name is not None and prompts.get(default_name) != "":
        raise BadInputError(
            "`default_prompt_name` must be None or the name of an empty prompt, because no text is put in front here. "
            f"Received: default_prompt_name={default_name!r}. Put the prompt in front of each text yourself."
        )
    return dict(prompts)


def check_projections(projections: Any) -> list[dict[str, Any]]:
    """Return projections with all their settings, after checking them.

    Args:
        projections: see `BertSentenceEncoder`.

    Raises:
        BadInputError: a setting is unknown or invalid, or `units` is missing.
    """
    if not isinstance(projections, list | tuple):
        raise _no_projections(projections)
    return [_checked_projection(projection) for projection in projections]


def _checked_projection(projection: Any) -> dict[str, Any]:
    if not isinstance(projection, Mapping) or not {"units"} <= set(projection) <= {"units", "activation", "use_bias"}:
        raise _no_projections(projection)
    use_bias = projection.get("use_bias", True)
    _check_flag("use_bias", use_bias, "True adds a bias to the dense layer.")
    return {
        "units": check_positive_integer("units", projection["units"]),
        "activation": check_activation("activation", projection.get("activation", "linear")),
        "use_bias": use_bias,
    }


def _no_projections(received: Any) -> BadInputError:
    return BadInputError(
        "`projections` must be a list of dicts with `units` and optionally `activation` and `use_bias`. "
        f"Received: {received!r}. For example, [{{'units': 256, 'activation': 'tanh'}}], or [] for none."
    )


def _check_flag(name: str, value: Any, remedy: str) -> None:
    if not isinstance(value, bool):
        raise BadInputError(f"`{name}` must be True or False. Received: {name}={value!r}. {remedy}")
