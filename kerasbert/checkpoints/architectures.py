"""Which of our models holds which checkpoint: the parts that each Hugging Face architecture must have and may have.

A part that a checkpoint may lack, such as the pooler under a token classifier, is all zeros in the loaded model: it has
no say in the outputs that the checkpoint was trained for, and saving leaves it out again. Leaves weight names to
`weight_names.py`.
"""

import dataclasses
from collections.abc import Collection, Iterable

from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, ENCODER_PARTS, PROJECTIONS
from kerasbert.errors import BadInputError


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One kind of checkpoint.

    Attributes:
        hugging_face: its name in Hugging Face's `architectures`.
        model: the name of our class in `kerasbert.models`.
        required: parts whose weights must be there.
        optional: parts that are there as a whole or not at all.
    """

    hugging_face: str
    model: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts that the model has."""
        return (*self.required, *self.optional)


BACKBONE = Architecture("BertModel", "BertBackbone", BACKBONE_PARTS)
SENTENCE_ENCODER = Architecture("BertModel", "BertSentenceEncoder", (*ENCODER_PARTS, PROJECTIONS), ("pooler",))
# The first of a class that fits is the one that is written.
ARCHITECTURES = (
    BACKBONE,
    Architecture("BertForPreTraining", "BertPretrainer", (*BACKBONE_PARTS, "masked_lm", "next_sentence")),
    Architecture("BertForMaskedLM", "BertPretrainer", (*ENCODER_PARTS, "masked_lm"), ("pooler", "next_sentence")),
    Architecture("BertForNextSentencePrediction", "BertPretrainer", (*BACKBONE_PARTS, "next_sentence"), ("masked_lm",)),
    Architecture("BertForSequenceClassification", "BertSequenceClassifier", (*BACKBONE_PARTS, "classifier")),
    Architecture("BertForTokenClassification", "BertTokenClassifier", (*ENCODER_PARTS, "classifier"), ("pooler",)),
    Architecture("BertForQuestionAnswering", "BertSpanPredictor", (*ENCODER_PARTS, "span"), ("pooler",)),
    Architecture("BertForMultipleChoice", "BertMultipleChoice", (*BACKBONE_PARTS, "classifier")),
    SENTENCE_ENCODER,
)


def architecture_named(name: str) -> Architecture | None:
    """The architecture of a Hugging Face name, or None for one that is not BERT's."""
    return next((known for known in ARCHITECTURES if known.hugging_face == name), None)


def architecture_of_parts(parts: Collection[str]) -> Architecture:
    """The architecture that a checkpoint which does not name one must have, by the heads that it holds."""
    heads = {
        "span": "BertForQuestionAnswering",
        "classifier": "BertForSequenceClassification" if "pooler" in parts else "BertForTokenClassification",
    }
    for head, name in heads.items():
        if head in parts:
            return _known(name)
    if "masked_lm" in parts:
        return _known("BertForPreTraining" if "next_sentence" in parts else "BertForMaskedLM")
    return _known("BertForNextSentencePrediction") if "next_sentence" in parts else BACKBONE


def architecture_of_model(model_class: str, absent: Collection[str]) -> Architecture:
    """The architecture under which a model of ours is saved.

    Args:
        model_class: the name of its class.
        absent: its parts that are all zeros.

    Raises:
        BadInputError: it is no model of `kerasbert.models`.
    """
    of_class = [known for known in ARCHITECTURES if known.model == model_class]
    if not of_class:
        raise BadInputError(
            f"`model` must be one of {_listed(known.model for known in ARCHITECTURES)}. Received: a {model_class}. "
            "Save another Keras model with `model.save`."
        )
    return next((known for known in of_class if not set(absent) & set(known.required)), of_class[0])


def _known(name: str) -> Architecture:
    return next(known for known in ARCHITECTURES if known.hugging_face == name)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
