"""Which of our models each Hugging Face architecture becomes, and which parts its checkpoint must or may have.

An optional part that a checkpoint lacks, e.g. the pooler of a token classifier, is all zeros in the loaded model. It
does not affect the outputs that the checkpoint was trained for, and saving leaves it out again. The names of weights
are in `weight_names.py`.
"""

import dataclasses
from collections.abc import Collection, Iterable

from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, ENCODER_PARTS, PROJECTIONS
from kerasbert.errors import BadInputError


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One kind of checkpoint.

    Attributes:
        hugging_face: Its name in Hugging Face's `architectures`.
        model: The name of the class in `kerasbert.models`.
        required: Parts that the checkpoint must have.
        optional: Parts that the checkpoint may have. It has all weights of such a part or none.
    """

    hugging_face: str
    model: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts of the model."""
        return (*self.required, *self.optional)


BACKBONE = Architecture("BertModel", "BertBackbone", ENCODER_PARTS, ("pooler",))
SENTENCE_ENCODER = Architecture("BertModel", "BertSentenceEncoder", (*ENCODER_PARTS, PROJECTIONS), ("pooler",))
# A model is saved as the first architecture of its class whose required parts it has.
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
    """Returns the architecture with a Hugging Face name, or None if it is not one of BERT's."""
    return next((known for known in ARCHITECTURES if known.hugging_face == name), None)


def chosen_architecture(names: Iterable[str], parts: Collection[str]) -> tuple[Architecture, tuple[str, ...]]:
    """Chooses the architecture that a config names, if the weights have its head; else the one of the heads they have.

    The weights of `bert-base-uncased` are called BertForMaskedLM and have both pretraining heads: both are read.

    Args:
        names: The config's `architectures`.
        parts: The parts of which the checkpoint has at least one weight.

    Returns:
        The architecture, and a note if the head that the config names is missing.
    """
    named = next((known for known in map(architecture_named, names) if known), None)
    if named is None:
        return architecture_of_parts(parts), ()
    missing = [part for part in named.required if part not in BACKBONE_PARTS and part not in parts]
    if not missing:
        return named, ()
    found = architecture_of_parts(parts)
    heads = ", ".join(missing)
    return found, (f"The config names {named.hugging_face}, but the weights lack its head ({heads}): {found.model}.",)


def architecture_of_parts(parts: Collection[str]) -> Architecture:
    """Returns the architecture of a checkpoint that does not name one, by the heads that it has."""
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
    """Returns the architecture as which a model is saved.

    Args:
        model_class: The name of its class.
        absent: Its parts that are all zeros.

    Raises:
        BadInputError: The class is not one of `kerasbert.models`.
    """
    of_class = [known for known in ARCHITECTURES if known.model == model_class]
    if not of_class:
        raise BadInputError(
            f"`model` must be one of {_listed(known.model for known in ARCHITECTURES)}. Received: a {model_class}. "
            "Other Keras models can be saved with `model.save`."
        )
    return next((known for known in of_class if not set(absent) & set(known.required)), of_class[0])


def _known(name: str) -> Architecture:
    return next(known for known in ARCHITECTURES if known.hugging_face == name)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
