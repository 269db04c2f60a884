"""The tensors that served models take and return, as people who call them need to know them.

A tensor is written as `type [size, size, ...]`. The first size of every tensor is the batch, because servers join
requests along it. `SIZES` explains the other sizes. Which signature has which tensors is in signatures.py.
"""

import re
from typing import NamedTuple

import tensorflow as tf

SIZES = {
    "batch": "rows of the request",
    "tokens": "tokens of the longest row of the request, including [CLS] and [SEP]",
    "hidden": "the hidden size of the encoder",
    "layers": "the encoder's layers; in `attention_layers`, the layers that each row asks for",
    "heads": "attention heads of a layer",
    "labels": "the model's labels, or the numbers that a regression model predicts",
    "entities": "entities of the row with the most entities",
    "answers": "the number of answers returned, 5 by default",
    "choices": "choices of the row with the most choices",
    "masks": "`[MASK]` tokens of the row with the most of them",
    "candidates": "pieces proposed for each `[MASK]`, 5",
    "vocabulary": "pieces in vocab.txt",
    "vector": "the size of a sentence's vector",
}


class Tensor(NamedTuple):
    """One input or output of a signature.

    Attributes:
        type: data type and shape, for example "float32 [batch, labels]".
        meaning: a sentence for people who call the served model.
    """

    type: str
    meaning: str

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of the sizes, without data type.

        Example:
            >>> Tensor("float32 [batch, labels]", "The logits.").sizes
            ('batch', 'labels')
        """
        return tuple(re.findall(r"[a-z]+", self.type.partition(" ")[2]))

    def spec(self, name: str) -> tf.TensorSpec:
        """The `tf.TensorSpec` of an input with this type, of any size in each dimension."""
        return tf.TensorSpec([None] * len(self.sizes), tf.as_dtype(self.type.partition(" ")[0]), name=name)


# === Inputs ===

TEXT = {"text": Tensor("string [batch]", "The texts, in UTF-8.")}
PAIR = {**TEXT, "text_pair": Tensor("string [batch]", "The second text of each row.")}
EXAMPLES = {
    "examples": Tensor(
        "string [batch]", "Serialized tf.Examples with the features `text` and, if there is a second text, `text_pair`."
    )
}
TEXT_EXAMPLES = {"examples": Tensor("string [batch]", "Serialized tf.Examples with the feature `text`.")}
METHOD_EXAMPLES = {"inputs": EXAMPLES["examples"]}
TOKEN_IDS = {
    "token_ids": Tensor("int32 [batch, tokens]", "The ids of the pieces, including [CLS] and [SEP]."),
    "segment_ids": Tensor("int32 [batch, tokens]", "0 for the first text and its special tokens, 1 for the second."),
    "padding_mask": Tensor("int32 [batch, tokens]", "1 for a real token, 0 for padding."),
}

# === Outputs that several signatures share ===

MASK = {"padding_mask": TOKEN_IDS["padding_mask"]}
PIECES = {"pieces": Tensor("string [batch, tokens]", "The word pieces, including special tokens and padding.")}
TRUNCATED = Tensor(
    "int32 [batch]",
    "How many tokens of the row the model did not read, because the row is too long. 0 if it read everything.",
)
COUNTS = {
    "token_count": Tensor(
        "int32 [batch]", "The number of tokens of the row's text or texts with special tokens, before any are cut off."
    ),
    "truncated": Tensor("bool [batch]", "Whether the model did not read all of them, because the row is too long."),
}

# === The answer of each form ===

BACKBONE_ANSWER = {
    "sequence_output": Tensor("float32 [batch, tokens, hidden]", "The last hidden state of each token."),
    "pooled_output": Tensor(
        "float32 [batch, hidden]",
        "BERT's pooled output, computed from [CLS]. Missing if the model was trained without BERT's pooler.",
    ),
    **MASK,
}
CLASSIFIER_ANSWER = {
    "label": Tensor("string [batch]", "The most probable label."),
    "probability": Tensor("float32 [batch]", "The probability of `label`."),
    "labels": Tensor("string [batch, labels]", "All labels, the most probable one first."),
    "probabilities": Tensor(
        "float32 [batch, labels]",
        "The probabilities of `labels`. They add up to 1, unless the model allows several labels at once: then each "
        "label has a probability of its own.",
    ),
    "logits": Tensor("float32 [batch, labels]", "The model's raw scores, in the order of assets/labels.json."),
}
REGRESSOR_ANSWER = {
    "prediction": Tensor("float32 [batch]", "The predicted number; [batch, labels] if the model predicts several."),
    "logits": Tensor("float32 [batch, labels]", "The model's raw scores, before any activation."),
}
ENTITIES = {
    "entity_count": Tensor("int32 [batch]", "The number of entities in the row. What comes after them is empty."),
    "entities": Tensor("string [batch, entities]", "The entities, cut from the original text."),
    "labels": Tensor("string [batch, entities]", "The label of each entity, without prefixes such as `B-`."),
    "probabilities": Tensor("float32 [batch, entities]", "The mean probability of the entity's words."),
    "starts": Tensor("int32 [batch, entities]", "The byte of the text's UTF-8 at which the entity starts."),
    "ends": Tensor("int32 [batch, entities]", "The byte after the entity's last byte."),
    "truncated_token_count": TRUNCATED,
    **COUNTS,
}
ANSWERS = {
    "answer": Tensor("string [batch]", "The best answer, cut from the original context."),
    "score": Tensor("float32 [batch]", "Its score. Compare it with `no_answer_score`."),
    "probability": Tensor("float32 [batch]", "Its probability among the best spans."),
    "start": Tensor("int32 [batch]", "The byte of the context's UTF-8 at which it starts."),
    "end": Tensor("int32 [batch]", "The byte after its last byte."),
    "answers": Tensor("string [batch, answers]", "The best answers, the best one first."),
    "scores": Tensor("float32 [batch, answers]", "Their scores."),
    "probabilities": Tensor("float32 [batch, answers]", "Their probabilities."),
    "starts": Tensor("int32 [batch, answers]", "Where they start."),
    "ends": Tensor("int32 [batch, answers]", "Where they end."),
    "answer_count": Tensor("int32 [batch]", "The number of answers in the row. What comes after them is empty."),
    "no_answer_score": Tensor(
        "float32 [batch]",
        "The score of having no answer. A model that was trained on such questions has no answer where this is "
        "larger than `score`.",
    ),
    "truncated_token_count": TRUNCATED,
    **COUNTS,
}
CHOICE = {
    "choice": Tensor("string [batch]", "The most probable choice."),
    "choice_index": Tensor("int32 [batch]", "Its index among the row's choices, from 0."),
    "probability": Tensor("float32 [batch]", "Its probability."),
    "probabilities": Tensor("float32 [batch, choices]", "The probability of each choice, in the order of the request."),
    "logits": Tensor("float32 [batch, choices]", "The model's raw score of each choice."),
    **{name: Tensor(f"{tensor.type[:-1]}, choices]", tensor.meaning) for name, tensor in COUNTS.items()},
}
EMBEDDING = {"embedding": Tensor("float32 [batch, vector]", "The vector of the text.")}
SIMILARITY = {
    "similarity": Tensor("float32 [batch]", "The cosine of the two vectors: 1 for the same direction, -1 opposite."),
    "embedding": Tensor("float32 [batch, vector]", "The vector of the first text."),
    "pair_embedding": Tensor("float32 [batch, vector]", "The vector of the second text."),
    **COUNTS,
}
FILLED_MASKS = {
    "mask_count": Tensor("int32 [batch]", "The number of `[MASK]`s in the row. What comes after them is empty."),
    "pieces": Tensor("string [batch, masks, candidates]", "The most probable pieces for each `[MASK]`, best first."),
    "probabilities": Tensor("float32 [batch, masks, candidates]", "The probabilities of `pieces`."),
}
FILLED_PAIR = {
    **FILLED_MASKS,
    "is_next_probability": Tensor("float32 [batch]", "The probability that the second text follows the first."),
}
