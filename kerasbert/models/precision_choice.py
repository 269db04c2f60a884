"""Chooses a precision for a model: compares its answers, and its speed on this machine, with those of float32."""

import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasbert.argument_checks import check_choice
from kerasbert.errors import BadInputError
from kerasbert.models.backbone_task import backbone_of
from kerasbert.models.inference import compiled_forward
from kerasbert.models.precision import PRECISIONS, ReducedModel, in_precision

Inputs = dict[str, Any]

AUTO = "auto"
# Relative to the length of the float32 answers. Published models stay below 0.03 in bfloat16 and in int8.
LARGEST_DIFFERENCE = 0.1
# "auto" takes another precision than float32 only if it is faster by more than measurements scatter.
_LEAST_SPEEDUP = 1.1
_ROUNDS = 5
_MOST_TEXTS = 256
_BATCH_SIZE = 32
# Words per text, where no texts are given: most are short, some are long.
_MEAN_WORDS, _SHAPE = 14, 2.2


class Comparison(NamedTuple):
    """How a model in a lower precision compares with float32.

    Attributes:
        texts: number of texts in the comparison.
        difference: length of the difference between the answers, as a share of the length of the float32 answers.
        same_label_share: share of texts with the same best label. None if the model does not choose one label.
        speedup: time of float32 divided by the model's, on this machine. None if it was not measured.
    """

    texts: int
    difference: float
    same_label_share: float | None = None
    speedup: float | None = None


class Chosen(NamedTuple):
    """A model in the precision that was chosen, and its comparison with float32, if it was compared."""

    reduced: ReducedModel
    comparison: Comparison | None = None

    @property
    def text(self) -> str:
        """The choice and its reason, in one line."""
        return precision_text(self.reduced.precision, self.comparison)


def precision_text(precision: str, comparison: Comparison | None) -> str:
    """Describe a precision in one line, with its comparison with float32.

    Example:
        >>> precision_text("int8", Comparison(64, 0.0123, 0.99))
        'int8: on 64 texts, answers differ from float32 by 1.23%, and 99.0% have the same label'
    """
    if comparison is None:
        return precision
    if precision == "float32":
        return f"float32, because bfloat16 takes {1 / (comparison.speedup or 1):.2f} times as long on this machine"
    share = comparison.same_label_share
    text = f"{precision}: on {comparison.texts} texts, answers differ from float32 by {comparison.difference:.2%}"
    text += "" if share is None else f", and {share:.1%} have the same label"
    return text + (f"; {comparison.speedup:.1f} times as fast on this machine" if comparison.speedup else "")


def choose_precision(model: keras.Model, precision: str, text_to_inputs: Any, texts: Sequence[str] = ()) -> Chosen:
    """Return the model in a precision, after comparing its answers with those of float32.

    "auto" is bfloat16 if it is faster than float32 on this machine, and otherwise float32. Which is faster depends on
    the processor: those with instructions for bfloat16 (AVX-512 BF16, AMX, Arm's BF16) gain, others lose.

    Args:
        model: a model of `kerasbert.models`.
        precision: "float32", "bfloat16", "int8" or "auto".
        text_to_inputs: the model's `TextToInputs`.
        texts: typical texts, of which at most 256 are used. By default, random words of the vocabulary.

    Raises:
        BadInputError: there is no such precision, or it changes the answers by more than `LARGEST_DIFFERENCE`.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"])
        >>> text_to_inputs = TextToInputs(WordPieceTokenizer(vocabulary))
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=7))
        >>> chosen = choose_precision(backbone, "int8", text_to_inputs, ["A cat"])
        >>> chosen.comparison.texts, 0.0 < chosen.comparison.difference < 0.02
        (1, True)
    """
    check_choice("precision", precision, (*PRECISIONS, AUTO))
    exact = in_precision(model, "float32")
    if precision == "float32":
        return Chosen(exact)
    reduced = in_precision(exact.model, "bfloat16" if precision == AUTO else precision)
    inputs = _batches(text_to_inputs, texts or sample_texts(text_to_inputs.vocabulary.pieces))
    comparison = compare(exact.model, reduced.model, inputs)
    is_close = comparison.difference <= LARGEST_DIFFERENCE  # also False for NaN
    if precision == AUTO:
        speedup = _speedup(exact.model, reduced.model, inputs)
        is_better = is_close and speedup >= _LEAST_SPEEDUP
        return Chosen(reduced if is_better else exact, comparison._replace(speedup=speedup))
    if not is_close:
        raise BadInputError(
            f"A lower precision must change the answers by at most {LARGEST_DIFFERENCE:.0%}. "
            f"Received: precision={precision!r}, which changes them by {comparison.difference:.0%}. "
            "Use the precision 'float32'."
        )
    return Chosen(reduced, comparison)


def sample_texts(pieces: Sequence[str], count: int = 64) -> list[str]:
    """Return texts of random words of a vocabulary, always the same ones for the same vocabulary.

    Example:
        >>> sample_texts(["[PAD]", "cat", "##s"], count=1)[0].split()[0]
        'cat'
    """
    words = np.array([piece for piece in pieces if piece.isalnum()] or ["a"])
    random = np.random.default_rng(0)
    lengths = np.maximum(random.gamma(_SHAPE, _MEAN_WORDS / _SHAPE, count).round().astype(int), 1)
    return [" ".join(random.choice(words, length)) for length in lengths]


def _batches(text_to_inputs: Any, texts: Sequence[str]) -> list[Inputs]:
    """Return the inputs of the encoder for evenly chosen texts, sorted by length."""
    step = -(-len(texts) // _MOST_TEXTS)
    chosen = sorted(texts[::step], key=len)
    return [text_to_inputs(chosen[start : start + _BATCH_SIZE]) for start in range(0, len(chosen), _BATCH_SIZE)]


def compare(exact: keras.Model, reduced: keras.Model, batches: Sequence[Inputs]) -> Comparison:
    """Compare the answers of two models of the same kind.

    Models that do not take one row per text (multiple choice, masked words) are compared by their hidden states.

    Args:
        exact: the model in float32.
        reduced: the same model in another precision.
        batches: inputs of the encoder.
    """
    has_rows = set(exact.input) == set(batches[0]) and all(len(spec.shape) == 2 for spec in exact.input.values())
    if not has_rows:
        exact, reduced = backbone_of(exact), backbone_of(reduced)
    answers, others = _answers(exact, batches), _answers(reduced, batches)
    difference = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(answers, others, strict=True)))
    length = np.sqrt(sum(np.sum(a**2) for a in answers))
    texts = sum(len(batch["token_ids"]) for batch in batches)
    share = None
    if has_rows and getattr(exact, "problem_type", None) == "single_label_classification":
        same = [a.argmax(-1) == b.argmax(-1) for a, b in zip(answers, others, strict=True)]
        share = float(np.concatenate(same).mean())
    return Comparison(texts, float(difference / max(length, np.finfo(np.float64).tiny)), share)


def _answers(model: keras.Model, batches: Sequence[Inputs]) -> list[np.ndarray]:
    """Return all outputs for all batches, in float64, without those at padding."""
    forward, symbols = compiled_forward(model), keras.tree.flatten(model.output)
    answers = []
    for batch in batches:
        is_real = np.asarray(batch["padding_mask"]).astype(bool)
        for symbol, output in zip(symbols, keras.tree.flatten(forward(batch)), strict=True):
            array = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")).astype(np.float64)
            answers.append(array[is_real] if symbol.shape[1:2] == (None,) else array)  # [B, T, ...]
    return answers


def _speedup(exact: Any, reduced: Any, batches: Sequence[Inputs]) -> float:
    """Return the median time of the first model, divided by the second one's, in turns and after a first run.

    Only the encoders are timed, because all models consist mainly of one.
    """
    forwards = [compiled_forward(backbone_of(model)) for model in (exact, reduced)]
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(_ROUNDS + 1):
        for forward, seconds in zip(forwards, times, strict=True):
            start = time.perf_counter()
            for batch in batches:
                keras.ops.convert_to_numpy(forward(batch)["pooled_output"])
            if round_:
                seconds.append(time.perf_counter() - start)
    return statistics.median(times[0]) / statistics.median(times[1])
