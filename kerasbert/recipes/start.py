"""Where a run starts from: a named size, a config file, or a checkpoint; and which optimizer takes it on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerasbert.checkpoints import load_backbone
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.training import LinearWarmupDecay, OriginalWarmupDecay, adamw, original_adamw


@dataclass(frozen=True, kw_only=True)
class Start:
    """The settings that pretraining and fine-tuning share.

    Attributes:
        output: the run's folder.
        start_from: a folder with a model to go on from, or None to begin with random weights.
        model: without `start_from`: a named size such as "bert-tiny", or a path to a `config.json`.
        vocabulary: without `start_from`: the vocabulary file.
        lower_case, strip_accents: without `start_from`: how the tokenizer normalizes (see `WordPieceTokenizer`).
        sequence_length: the most tokens of an input, special tokens counted.
        batch_size: rows in a batch.
        learning_rate: at its peak.
        warmup_share: share of the updates over which the learning rate rises.
        weight_decay: of all but norms and biases.
        beta_2: memory of the squared gradients; less than 0.999 bears a higher learning rate in a short run.
        clip_norm: the largest norm of the gradients.
        accumulation_steps: batches whose gradients make one update.
        optimizer: "adamw", or "original" (google-research/bert's: no bias correction, decay from step 0).
        dropout: of hidden states and attention; None keeps the config's.
        precision: a Keras dtype policy: "float32", "mixed_float16", "mixed_bfloat16".
        jit_compile: whether XLA compiles the step; None chooses.
        max_unknown_share: the largest share of words of the text that the vocabulary may not know.
        seed: of weights, order, masks and dropout.
        checkpoint_every, log_every: steps between training states, and between lines of the history.
        restart: begin anew where the folder holds an earlier run.
        show_progress: a progress bar on standard error.
    """

    output: str
    start_from: str | None = None
    model: str = "bert-tiny"
    vocabulary: str | None = None
    lower_case: bool = True
    strip_accents: bool | None = None
    sequence_length: int = 128
    batch_size: int = 32
    learning_rate: float = 1e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    beta_2: float = 0.999
    clip_norm: float = 1.0
    accumulation_steps: int = 1
    optimizer: str = "adamw"
    dropout: float | None = None
    precision: str = "float32"
    jit_compile: bool | None = None
    max_unknown_share: float = 0.2
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    restart: bool = False
    show_progress: bool = True

    def make_optimizer(self, steps: int) -> Any:
        """The optimizer for a run of `steps` batches."""
        updates = max(1, steps // self.accumulation_steps)
        makers = {"adamw": (adamw, LinearWarmupDecay), "original": (original_adamw, OriginalWarmupDecay)}
        if self.optimizer not in makers:
            raise BadInputError(
                f"`optimizer` must be one of {', '.join(makers)}. Received: optimizer={self.optimizer!r}."
            )
        make, schedule = makers[self.optimizer]
        return make(
            schedule(self.learning_rate, int(updates * self.warmup_share), updates),
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            accumulation_steps=self.accumulation_steps,
            beta_2=self.beta_2,
        )

    def make_backbone(self, longest: int) -> tuple[BertBackbone, TextToInputs]:
        """The encoder to train, and the preprocessing that goes with it.

        Args:
            longest: the longest input that the run will make, in tokens.

        Raises:
            BadInputError: there is nothing to start from, or its position table is shorter than `longest`.
        """
        keras.utils.set_random_seed(self.seed)
        backbone, to_inputs = self._from_checkpoint() if self.start_from else self._from_nothing()
        if longest > backbone.bert_config.max_position_embeddings:
            raise BadInputError(
                f"Inputs must fit the model's {backbone.bert_config.max_position_embeddings} positions. "
                f"Received: a sequence length of {longest}. Use shorter sequences or a model with more positions."
            )
        return backbone, to_inputs

    def _from_checkpoint(self) -> tuple[BertBackbone, TextToInputs]:
        loaded = load_backbone(str(self.start_from))
        to_inputs = loaded.text_to_inputs
        if to_inputs is None:
            raise BadInputError(
                f"A model to start from must have its vocabulary beside it. Received: '{self.start_from}' without one. "
                "Copy its vocab.txt there."
            )
        config = self._with_dropout(loaded.config)
        backbone = BertBackbone.from_config({**config.to_dict(), "dtype": self.precision})
        backbone.set_weights(loaded.model.get_weights())
        return backbone, TextToInputs(to_inputs.tokenizer, self.sequence_length, to_inputs.truncation)

    def _from_nothing(self) -> tuple[BertBackbone, TextToInputs]:
        if self.vocabulary is None:
            raise BadInputError(
                "A run needs a vocabulary. Received: neither `--vocabulary` nor `--from`. "
                "Learn one with `kerasbert vocabulary`, or start from a model."
            )
        vocabulary = Vocabulary.from_file(self.vocabulary)
        tokenizer = WordPieceTokenizer(vocabulary, lower_case=self.lower_case, strip_accents=self.strip_accents)
        config = self._with_dropout(self._named_config().replace(vocab_size=len(vocabulary)))
        backbone = BertBackbone.from_config({**config.to_dict(), "dtype": self.precision})
        return backbone, TextToInputs(tokenizer, self.sequence_length)

    def _named_config(self) -> BertConfig:
        if self.model.endswith(".json") or Path(self.model).is_file():
            if not Path(self.model).is_file():
                raise BadInputError(f"`--model` must be a size or a config file. Received: '{self.model}', not there.")
            return BertConfig.from_json(Path(self.model))
        return BertConfig.named(self.model)

    def _with_dropout(self, config: BertConfig) -> BertConfig:
        if self.dropout is None:
            return config
        return config.replace(hidden_dropout_prob=self.dropout, attention_probs_dropout_prob=self.dropout)
