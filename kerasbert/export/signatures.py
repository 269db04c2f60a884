"""The signatures of every served model: name, purpose, inputs and outputs, as one table.

Everything else is derived from this table: the `input_signature` of each exported function, the descriptions in the
model card, and the tables in docs/export.md. `SIGNATURES` lists the signatures of each form in which a model is served;
the functions that compute them are in served/.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kerasbert.export.signature_tensors import (
    ANSWERS,
    BACKBONE_ANSWER,
    CHOICE,
    CLASSIFIER_ANSWER,
    COUNTS,
    EMBEDDING,
    ENTITIES,
    EXAMPLES,
    FILLED_MASKS,
    FILLED_PAIR,
    MASK,
    METHOD_EXAMPLES,
    PAIR,
    PIECES,
    REGRESSOR_ANSWER,
    SIMILARITY,
    TEXT,
    TEXT_EXAMPLES,
    TOKEN_IDS,
    Tensor,
)

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


@dataclass(frozen=True)
class SignatureInfo:
    """What one signature is for, and what goes in and out.

    Attributes:
        purpose: a sentence for people who call the served model.
        inputs: the input tensors by name. All of them must be fed.
        outputs: the output tensors by name.
        method: the TF Serving method that calls the signature.
        condition: when the signature exists, if not every model has it.
    """

    purpose: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    method: str = PREDICT
    condition: str = ""


# === Signatures that every form has ===

COMMON = {
    "embed": SignatureInfo(
        "Returns one vector for each text.",
        TEXT,
        {
            "embedding": Tensor("float32 [batch, hidden]", "The mean of the hidden states of the text's tokens."),
            "pooled_output": BACKBONE_ANSWER["pooled_output"],
            **COUNTS,
        },
    ),
    "tokenize": SignatureInfo(
        "Shows how the model splits each text into tokens.",
        TEXT,
        {
            "token_ids": TOKEN_IDS["token_ids"],
            **PIECES,
            "starts": Tensor(
                "int32 [batch, tokens]",
                "The byte of the text's UTF-8 at which the piece starts; 0 for special tokens and padding.",
            ),
            "ends": Tensor("int32 [batch, tokens]", "The byte after the piece's last byte; 0 likewise."),
            **MASK,
            **COUNTS,
        },
    ),
    "attention": SignatureInfo(
        "Returns the attention probabilities of all layers. The reply grows with the square of the text's length; use "
        "`attention_layers` for long texts.",
        TEXT,
        {
            "attention": Tensor(
                "float32 [batch, layers, heads, tokens, tokens]", "How much each token attends to each other token."
            ),
            **PIECES,
            **MASK,
            **COUNTS,
        },
    ),
    "attention_layers": SignatureInfo(
        "Returns the attention probabilities of the layers that the request names.",
        {
            **TEXT,
            "layers": Tensor(
                "int32 [batch, layers]", "For each text, the layers to return: 0 is the first, after the embeddings."
            ),
        },
        {
            "attention": Tensor(
                "float32 [batch, layers, heads, tokens, tokens]",
                "How much each token attends to each other token, in the order of the row's `layers`.",
            ),
            **PIECES,
            **MASK,
            **COUNTS,
        },
    ),
}


_STRICT = "The same as `text`, but a request with a text that is too long for the model fails."


def _answers_to_text(answer: Mapping[str, Tensor], purpose: str) -> dict[str, SignatureInfo]:
    """The signatures of a model that answers for one text or, if it has two segments, for a pair of texts."""
    counted = {**answer, **COUNTS}
    return {
        "serving_default": SignatureInfo(purpose, TEXT, counted),
        "text": SignatureInfo("The same as `serving_default`.", TEXT, counted),
        "text_strict": SignatureInfo(_STRICT, TEXT, counted),
        "text_pair": SignatureInfo(
            f"{purpose} Each row is a pair of texts.",
            PAIR,
            counted,
            condition="Only if the model has two segments (`type_vocab_size` of at least 2).",
        ),
        "token_ids": SignatureInfo(f"{purpose} The client tokenizes.", TOKEN_IDS, answer),
        "examples": SignatureInfo(f"{purpose} Takes tf.Examples.", EXAMPLES, counted),
    }


_CLASSIFY = SignatureInfo(
    "Answers TF Serving's Classify calls.",
    METHOD_EXAMPLES,
    {
        "classes": Tensor("string [batch, labels]", "All labels, the most probable one first."),
        "scores": Tensor("float32 [batch, labels]", "The probabilities of `classes`."),
    },
    CLASSIFY,
)
_REGRESS = SignatureInfo(
    "Answers TF Serving's Regress calls.",
    METHOD_EXAMPLES,
    {"outputs": Tensor("float32 [batch]", "The predicted number.")},
    REGRESS,
    condition="Only if the model predicts a single number.",
)
_ENTITIES = SignatureInfo("Finds the entities in each text.", TEXT, ENTITIES)
_ASKED = {
    "question": Tensor("string [batch]", "The questions, in UTF-8."),
    "context": Tensor("string [batch]", "For each question, the text to search for the answer."),
}
_CHOICES = {**TEXT, "choices": Tensor("string [batch, choices]", "The choices of each text.")}

# Form -> what people call such a model.
TITLES = {
    "backbone": "Text encoder",
    "classifier": "Text classifier",
    "regressor": "Text regression model",
    "token_classifier": "Named entity recognition model",
    "span_predictor": "Question answering model",
    "multiple_choice": "Multiple choice model",
    "sentence_encoder": "Sentence encoder",
    "pretrainer": "Masked language model",
}

# Form -> name of the signature -> what it is.
SIGNATURES: dict[str, dict[str, SignatureInfo]] = {
    "backbone": {**_answers_to_text(BACKBONE_ANSWER, "Returns the encoder's hidden states."), **COMMON},
    "classifier": {
        **_answers_to_text(CLASSIFIER_ANSWER, "Classifies each text."),
        "classify": _CLASSIFY,
        **COMMON,
    },
    "regressor": {
        **_answers_to_text(REGRESSOR_ANSWER, "Predicts a number for each text."),
        "regress": _REGRESS,
        **COMMON,
    },
    "token_classifier": {
        "serving_default": _ENTITIES,
        "text": SignatureInfo("The same as `serving_default`.", TEXT, ENTITIES),
        "text_strict": SignatureInfo(_STRICT, TEXT, ENTITIES),
        "token_ids": SignatureInfo(
            "Returns the scores of each token. The client tokenizes.",
            TOKEN_IDS,
            {
                "logits": Tensor("float32 [batch, tokens, labels]", "The raw scores, in the order of labels.json."),
                **MASK,
            },
        ),
        "examples": SignatureInfo("Finds the entities in each text. Takes tf.Examples.", TEXT_EXAMPLES, ENTITIES),
        **COMMON,
    },
    "span_predictor": {
        "serving_default": SignatureInfo("Answers each question with a part of its context.", _ASKED, ANSWERS),
        "text_pair": SignatureInfo(
            "The same as `serving_default`, with other input names.",
            {"text": _ASKED["question"], "text_pair": _ASKED["context"]},
            ANSWERS,
        ),
        "token_ids": SignatureInfo(
            "Returns the scores of each token as the start and the end of an answer. The client tokenizes.",
            TOKEN_IDS,
            {
                "start_logits": Tensor("float32 [batch, tokens]", "The raw score of an answer that starts here."),
                "end_logits": Tensor("float32 [batch, tokens]", "The raw score of an answer that ends here."),
            },
        ),
        "examples": SignatureInfo(
            "Answers each question. Takes tf.Examples.",
            {
                "examples": Tensor(
                    "string [batch]", "Serialized tf.Examples with the features `question` and `context`."
                )
            },
            ANSWERS,
        ),
        **COMMON,
    },
    "multiple_choice": {
        "serving_default": SignatureInfo("Chooses one of the choices of each text.", _CHOICES, CHOICE),
        "token_ids": SignatureInfo(
            "Returns the score of each choice. The client tokenizes.",
            {name: Tensor("int32 [batch, choices, tokens]", tensor.meaning) for name, tensor in TOKEN_IDS.items()},
            {"logits": CHOICE["logits"]},
        ),
        "examples": SignatureInfo(
            "Chooses one of the choices of each text. Takes tf.Examples.",
            {"examples": Tensor("string [batch]", "Serialized tf.Examples with the features `text` and `choices`.")},
            CHOICE,
        ),
        **COMMON,
    },
    "sentence_encoder": {
        **_answers_to_text(EMBEDDING, "Returns one vector for each text."),
        "text_pair": SignatureInfo("Compares two texts, each of them encoded on its own.", PAIR, SIMILARITY),
        "examples": SignatureInfo(
            "Returns one vector for each text. Takes tf.Examples.", TEXT_EXAMPLES, {**EMBEDDING, **COUNTS}
        ),
        **COMMON,
        "embed": SignatureInfo("The same as `serving_default`.", TEXT, {**EMBEDDING, **COUNTS}),
    },
    "pretrainer": {
        **_answers_to_text(FILLED_MASKS, "Proposes pieces for each `[MASK]` in the text."),
        "text_pair": SignatureInfo(
            "Proposes pieces for each `[MASK]`, and says whether the second text follows the first.",
            PAIR,
            {**FILLED_PAIR, **COUNTS},
            condition="Only if the model has two segments (`type_vocab_size` of at least 2).",
        ),
        "token_ids": SignatureInfo(
            "Returns the scores of both pretraining tasks. The client tokenizes.",
            {**TOKEN_IDS, "mask_positions": Tensor("int32 [batch, masks]", "Where the masked tokens are, from 0.")},
            {
                "masked_lm": Tensor("float32 [batch, masks, vocabulary]", "The raw score of each piece."),
                "next_sentence": Tensor(
                    "float32 [batch, 2]", "The raw scores of the second text following (first) and not following."
                ),
            },
        ),
        **COMMON,
    },
}

# The signatures that TF Serving calls by another method than Predict.
METHODS = {name: info.method for form in SIGNATURES.values() for name, info in form.items() if info.method != PREDICT}
