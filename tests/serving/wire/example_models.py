"""Tiny models of every task, with readable texts, for the pages about the REST and gRPC APIs."""

import keras
import numpy as np

from kerasbert import export, models
from kerasbert.config import BertConfig
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

WORDS = """
where is my card ? how do i top up . anna lives in zürich paris the capital of france a city person , it was he she
opened door bag key with her lost and found
"""
LETTERS = "abcdefghijklmnopqrstuvwxyzü"

# The models by their names on the server: the class, how it is made, and its labels.
MODELS = {
    "classifier": (models.BertSequenceClassifier, {"num_labels": 3}, ["card_arrival", "lost_card", "top_up"]),
    "regressor": (models.BertSequenceClassifier, {"num_labels": 1, "problem_type": "regression"}, None),
    "tagger": (models.BertTokenClassifier, {"num_labels": 3}, ["O", "B-PLACE", "I-PLACE"]),
    "answerer": (models.BertSpanPredictor, {}, None),
    "chooser": (models.BertMultipleChoice, {}, None),
    "sentences": (models.BertSentenceEncoder, {}, None),
    "pretrainer": (models.BertPretrainer, {}, None),
    "backbone": (None, {}, None),
}
# Weights with which the tagger finds entities and the answerer finds an answer.
SEED = 7


def save(folder, names=tuple(MODELS)):
    """Exports models into a folder, each in a folder of its name."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*WORDS.split(), *LETTERS])]
    vocabulary = Vocabulary([*pieces, *(f"##{letter}" for letter in LETTERS)])
    text_to_inputs = TextToInputs(
        WordPieceTokenizer(vocabulary, strip_accents=False), sequence_length=32, padding="longest"
    )
    for name in names:
        _, _, labels = MODELS[name]
        export.save(_model(name, len(vocabulary)), folder / name, text_to_inputs, labels=labels, warm_up=None)


def _model(name, vocab_size):
    kind, options, _ = MODELS[name]
    keras.utils.set_random_seed(SEED)
    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = models.BertBackbone.from_config(BertConfig(vocab_size=vocab_size, max_position_embeddings=32, **sizes))
    random = np.random.default_rng(SEED)
    model.set_weights([weight + 0.3 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    if kind is not None:
        model = kind(model, **options)
        model.set_weights([weight + 0.3 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    return model
