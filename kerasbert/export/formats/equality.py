"""Does an exported file give the same answers as the model? Asks both for batches of different sizes, with padding.

Shapes: `B` batch, `C` choices, `T` tokens.
"""

from collections.abc import Iterator

import keras
import numpy as np

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.export.formats.graph_format import Runtime
from kerasbert.export.formats.named_graph import INPUT_NAMES

# Of the largest number of an output, or of 1 if all are smaller. Hidden states of padding are not compared: nobody uses
# them, and rounding errors grow there, up to 1e-4 in real models.
TOLERANCE = 1e-5
_REMEDY = "Export the model as a SavedModel, or in another format."
# [B, T] of the batches, the last one as long as the model allows.
_SIZES = ((1, 1), (3, 17), (8, 5), (2, 10**9))


def check_same_answers(runtime: Runtime, graph: keras.Model, config: BertConfig, dtype: str) -> None:
    """Compare the answers of a loaded file with those of the model.

    Args:
        runtime: the loaded file.
        graph: the model, as `task_graph` returns it.
        config: the sizes of its encoder.
        dtype: the dtype of the file's inputs.

    Raises:
        BadInputError: an output is missing, or a number differs by more than `TOLERANCE`.
    """
    for inputs in _batches(graph, config):
        answers = runtime({theirs: inputs[ours].astype(dtype) for ours, theirs in INPUT_NAMES.items()})
        is_real = inputs["padding_mask"].astype(bool)
        for name, tensor in graph(inputs, training=False).items():
            expected, received = np.asarray(tensor), np.asarray(answers[name])
            if received.shape != expected.shape:
                raise BadInputError(
                    "The exported file must give the model's answers. "
                    f"Received: `{name}` of the shape {received.shape} instead of {expected.shape}. {_REMEDY}"
                )
            if graph.output[name].shape[: is_real.ndim] == (None,) * is_real.ndim:  # one answer for each token
                expected, received = expected[is_real], received[is_real]
            allowed = TOLERANCE * max(1.0, float(np.max(np.abs(expected))))
            difference = float(np.max(np.abs(received - expected)))
            if not difference <= allowed:  # also if it is not a number
                raise BadInputError(
                    f"The exported file must give the model's answers to within {allowed:.1e}. "
                    f"Received: `{name}`, which differs by up to {difference:.1e}. {_REMEDY}"
                )


def _batches(graph: keras.Model, config: BertConfig) -> Iterator[dict[str, np.ndarray]]:
    """Yield inputs by our names: rows of random tokens, the first row without padding."""
    generator = np.random.default_rng(0)
    for rows, tokens in _SIZES:
        tokens = min(tokens, config.max_position_embeddings)
        has_choices = len(graph.input["token_ids"].shape) == 3
        shape = (rows, 2 + rows % 2, tokens) if has_choices else (rows, tokens)
        lengths = generator.integers(1, tokens + 1, shape[:-1])
        lengths.flat[0] = tokens
        is_real = (np.arange(tokens) < lengths[..., None]).astype("int32")
        inputs = {
            "token_ids": is_real * generator.integers(config.vocab_size, size=shape, dtype="int32"),
            "padding_mask": is_real,
            "segment_ids": is_real * generator.integers(config.type_vocab_size, size=shape, dtype="int32"),
        }
        if "mask_positions" in graph.input:
            inputs["mask_positions"] = np.tile(np.arange(tokens, dtype="int32"), (rows, 1))
        yield inputs
