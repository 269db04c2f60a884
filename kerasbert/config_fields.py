"""Which values each field of `BertConfig` may have, and which fields make an encoder another one than BERT."""

from collections.abc import Callable
from typing import Any

from kerasbert.argument_checks import (
    INITIALIZATIONS,
    NORM_PLACEMENTS,
    NORM_TYPES,
    POSITIONS_OF_ATTENTION,
    POSITIONS_OF_EMBEDDINGS,
    check_activation,
    check_choice,
    check_flag,
    check_positive_integer,
    check_positive_number,
    check_rate,
)


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    return lambda name, value: check_choice(name, value, choices)


CHECKS = {
    "vocab_size": check_positive_integer,
    "hidden_size": check_positive_integer,
    "num_hidden_layers": check_positive_integer,
    "num_attention_heads": check_positive_integer,
    "intermediate_size": check_positive_integer,
    "hidden_act": check_activation,
    "hidden_dropout_prob": check_rate,
    "attention_probs_dropout_prob": check_rate,
    "max_position_embeddings": check_positive_integer,
    "type_vocab_size": check_positive_integer,
    "initializer_range": check_positive_number,
    "layer_norm_eps": check_positive_number,
    "norm_placement": _one_of(*NORM_PLACEMENTS, "deepnorm"),
    "norm_type": _one_of(*NORM_TYPES),
    "use_bias": check_flag,
    "gated_feed_forward": check_flag,
    "initialization": _one_of(*INITIALIZATIONS),
    "position_type": _one_of(*dict.fromkeys((*POSITIONS_OF_EMBEDDINGS, *POSITIONS_OF_ATTENTION))),
    "relative_distance": check_positive_integer,
    "relative_buckets": check_positive_integer,
    "rotary_base": check_positive_number,
    "rotary_scaling": check_positive_number,
    "scaled_attention": check_flag,
}
# The variants of the encoder: what makes it compute something else than a plain BERT of the same sizes.
VARIANTS = (
    "norm_placement",
    "norm_type",
    "use_bias",
    "gated_feed_forward",
    "position_type",
    "relative_distance",
    "relative_buckets",
    "rotary_base",
    "rotary_scaling",
    "scaled_attention",
)
# Fields that other libraries do not know and need not know: they only concern new weights.
OWN_FIELDS = ("initialization",)
