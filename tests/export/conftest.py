"""Small models with random weights, and their exports, made once for the session."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

LABELS = ["positive", "négative", 'very "odd"\nlabel']
WORDS = ["the", "play", "##ing", "good", "bad", "day", "ö", "日", "本"]


@pytest.fixture(scope="session")
def vocabulary():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return Vocabulary([*specials, *WORDS, *letters, *(f"##{letter}" for letter in letters), ".", ",", "[", "]", "!"])


@pytest.fixture(scope="session")
def text_to_inputs(vocabulary):
    return TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=24, padding="fixed")


@pytest.fixture(scope="session")
def make_backbone(vocabulary):
    def make(**overrides):
        sizes = {
            "vocab_size": len(vocabulary) + 3,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
        }
        keras.utils.set_random_seed(7)
        backbone = BertBackbone.from_config(BertConfig(**{**sizes, **overrides}))
        # The usual small initial weights make answers that differ by less than any tolerance.
        backbone.set_weights([weight + 0.3 * np.random.randn(*weight.shape) for weight in backbone.get_weights()])
        return backbone

    return make


@pytest.fixture(scope="session")
def classifier(make_backbone):
    model = BertSequenceClassifier(make_backbone(), num_labels=3)
    # Optimizer slots, which have no place in an export.
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="session")
def classifier_folder(classifier, text_to_inputs, tmp_path_factory):
    return export.save(classifier, text_to_inputs, tmp_path_factory.mktemp("classifier"), labels=LABELS)


@pytest.fixture(scope="session")
def classifier_signatures(classifier_folder):
    return _signatures(classifier_folder)


@pytest.fixture(scope="session")
def backbone(make_backbone):
    return make_backbone()


@pytest.fixture(scope="session")
def backbone_signatures(backbone, text_to_inputs, tmp_path_factory):
    return _signatures(export.save(backbone, text_to_inputs, tmp_path_factory.mktemp("backbone")))


@pytest.fixture(scope="session")
def pretrainer(make_backbone):
    return BertPretrainer(make_backbone())


@pytest.fixture(scope="session")
def pretrainer_signatures(pretrainer, text_to_inputs, tmp_path_factory):
    return _signatures(export.save(pretrainer, text_to_inputs, tmp_path_factory.mktemp("pretrainer")))


class _Signatures(dict):
    """Signature functions that keep their loaded module alive."""


def _signatures(folder):
    module = tf.saved_model.load(str(folder))
    signatures = _Signatures(module.signatures)
    signatures.module = module
    return signatures
