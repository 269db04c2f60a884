"""The model that a run starts from (a named size, a config file or a checkpoint), and the optimizer that trains it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kerasbert.checkpoints import load_backbone
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.settings import RunSettings, TrainingSettings
from kerasbert.training import (
    AccumulationRamp,
    LinearWarmupDecay,
    OneCycle,
    OriginalWarmupDecay,
    WarmupStableDecay,
    adamw,
    checkpoint_gradients,
    lamb,
    original_adamw,
    stable_adamw,
)

_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
_OPTIMIZERS = {"adamw": adamw, "original": original_adamw, "stable_adamw": stable_adamw, "lamb": lamb}
_SCHEDULES = {"linear": LinearWarmupDecay, "original": OriginalWarmupDecay, "one_cycle": OneCycle}


def make_optimizer(
    settings: RunSettings, steps: int, rate_factors: Mapping[str, float] | None = None, ramp_share: float = 0.0
) -> Any:
    """Returns the optimizer, with its learning rate schedule, for a run of `steps` batches.

    Args:
        settings: The settings of the run.
        steps: Number of batches.
        rate_factors: Path of a variable -> factor of its learning rate.
        ramp_share: Share of the steps over which the batches per update rise.

    Raises:
        BadInputError: Warm-up and decay are longer than the run, or a single batch per update cannot rise.
    """
    if ramp_share and settings.accumulation_steps == 1:
        raise BadInputError(
            "A ramp needs several batches per update at its end. Received: "
            f"batch_size_ramp={ramp_share} with accumulation_steps=1. Set `accumulation_steps`, for example 8, or "
            "remove `batch_size_ramp`."
        )
    ramp = AccumulationRamp(settings.accumulation_steps, round(steps * ramp_share))
    updates = max(1, ramp.updates(steps))
    return _OPTIMIZERS[settings.optimizer](
        _schedule(settings, updates),
        rate_factors=rate_factors,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        accumulation_steps=settings.accumulation_steps,
        beta_2=settings.beta_2,
        ema=settings.ema,
        ramp_steps=ramp.ramp_steps,
    )


def _schedule(settings: RunSettings, updates: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate schedule of a run."""
    name = settings.schedule or ("original" if settings.optimizer == "original" else "linear")
    peak, warmup_steps = settings.learning_rate, int(updates * settings.warmup_share)
    if name != "warmup_stable_decay":
        return _SCHEDULES[name](peak, warmup_steps, updates)
    if settings.warmup_share + settings.decay_share > 1:
        raise BadInputError(
            "Warm-up and decay must fit in the run. Received: "
            f"warmup_share={settings.warmup_share}, decay_share={settings.decay_share}. "
            "Choose `warmup_share` and `decay_share` with a sum of at most 1."
        )
    return WarmupStableDecay(peak, warmup_steps, updates, int(updates * settings.decay_share))


def make_backbone(settings: RunSettings, longest: int) -> tuple[BertBackbone, TextToInputs]:
    """Returns the encoder to train and the preprocessing that belongs to it.

    Args:
        settings: The settings of the run, with a precision that was chosen (see training_precision.py).
        longest: The maximum number of tokens of the run's inputs.

    Raises:
        BadInputError: There is nothing to start from, settings contradict the model to start from, or the position
            table is shorter than `longest`.
    """
    keras.utils.set_random_seed(settings.seed)
    backbone, to_inputs = _from_checkpoint(settings) if settings.start_from else _from_random_weights(settings)
    positions = backbone.bert_config.max_position_embeddings
    if longest > positions:
        raise BadInputError(
            f"Inputs must fit the model's {positions} positions. Received: a sequence length of {longest}. "
            f"For example, `sequence_length={positions}`, or use a model with more positions."
        )
    if settings.gradient_checkpointing:
        checkpoint_gradients(backbone)
    return backbone, to_inputs


def _from_checkpoint(settings: RunSettings) -> tuple[BertBackbone, TextToInputs]:
    """The encoder of a checkpoint, without its heads."""
    loaded = load_backbone(str(settings.start_from))
    to_inputs = loaded.text_to_inputs
    if to_inputs is None:
        raise BadInputError(
            "A model to start from must have a vocabulary in its folder. "
            f"Received: '{settings.start_from}', which has none. Copy the model's vocab.txt there."
        )
    check_own_tokenizer(to_inputs.tokenizer, settings, str(settings.start_from))
    _check_own_sizes(loaded.config, settings)
    config = _with_dropout(loaded.config, settings.dropout)
    backbone = BertBackbone.from_config({**config.to_dict(), "dtype": settings.precision})
    backbone.set_weights(loaded.model.get_weights())
    return backbone, to_inputs.replace(sequence_length=settings.sequence_length)


def check_own_tokenizer(tokenizer: WordPieceTokenizer, settings: TrainingSettings, start_from: str) -> None:
    """Refuses settings of a tokenizer that contradict that of the model to start from, which is used.

    Args:
        tokenizer: The model's tokenizer.
        settings: The settings of the run. Those that say the same as the model are accepted.
        start_from: The model, for the message.

    Raises:
        BadInputError: `vocabulary`, `lower_case` or `strip_accents` contradicts the model.
    """
    if tokenizer.lower_case and not settings.lower_case:
        raise _contradiction("lower_case=False", f"'{start_from}' lower-cases text")
    if settings.strip_accents not in (None, tokenizer.strip_accents):
        does = "removes accents" if tokenizer.strip_accents else "keeps accents"
        raise _contradiction(f"strip_accents={settings.strip_accents}", f"'{start_from}' {does}")
    if settings.vocabulary is not None:
        pieces = Vocabulary.from_file(settings.vocabulary).pieces
        own = tokenizer.vocabulary.pieces
        added = {token.content for token in tokenizer.added_tokens}  # a vocab.txt does not contain them
        if own[: len(pieces)] != pieces or not added.issuperset(own[len(pieces) :]):
            raise _contradiction(f"vocabulary='{settings.vocabulary}'", f"'{start_from}' has another vocabulary")


def _check_own_sizes(config: BertConfig, settings: RunSettings) -> None:
    """Refuses a named size or config file that contradicts the model to start from."""
    if settings.model == TrainingSettings().model:  # the default, which nobody has chosen
        return
    wanted = _config(settings.model)
    differing = [name for name in _SIZES if getattr(wanted, name) != getattr(config, name)]
    if differing:
        has = ", ".join(f"{name} {getattr(config, name)}" for name in differing)
        raise _contradiction(f"model='{settings.model}'", f"'{settings.start_from}' has {has}")


def _contradiction(setting: str, model: str) -> BadInputError:
    return BadInputError(
        f"A model to start from keeps its own sizes, vocabulary and tokenizer. Received: {setting}, but {model}. "
        f"Remove `{setting}`, or train from random weights without `start_from`."
    )


def _from_random_weights(settings: RunSettings) -> tuple[BertBackbone, TextToInputs]:
    """A new encoder of a named size or a config file."""
    if settings.vocabulary is None:
        raise BadInputError(
            "A run needs a vocabulary. Received: neither `vocabulary` nor `start_from`. "
            "Learn a vocabulary with `kerasbert vocabulary`, or start from a model."
        )
    vocabulary = Vocabulary.from_file(settings.vocabulary)
    tokenizer = WordPieceTokenizer(vocabulary, lower_case=settings.lower_case, strip_accents=settings.strip_accents)
    config = _with_dropout(_config(settings.model).replace(vocab_size=len(vocabulary)), settings.dropout)
    backbone = BertBackbone.from_config({**config.to_dict(), "dtype": settings.precision})
    return backbone, TextToInputs(tokenizer, settings.sequence_length)


def _config(model: str) -> BertConfig:
    """The config of a named size, or the one in a file."""
    if Path(model).is_file():
        return BertConfig.from_json(Path(model))
    if model.endswith(".json"):
        raise BadInputError(
            f"`model` must be a named size or a config file. Received: model='{model}', which does not exist. "
            "Check the path."
        )
    return BertConfig.named(model)


def _with_dropout(config: BertConfig, dropout: float | None) -> BertConfig:
    """The config with another dropout rate, or as it is."""
    if dropout is None:
        return config
    return config.replace(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
