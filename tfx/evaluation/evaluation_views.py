"""Turns the labels of rows and the answers of a model, which are strings, into the numbers that TFMA compares.

The exported model returns label strings, best first, and the examples contain label strings. A view computes the
numbers for one row; a metric selects its view by `output_names`:

* `class_probabilities`: the number of the true label, and the probabilities of all labels
* `best_class`: 1 if the best label is the true one, else 0, and the probability of the best label
* `class_flags`: 0 or 1 for each label, and its probability (multi-label)
* `number`: the true number and the predicted one (regression)
* `entities`: for each true or predicted entity, whether it is true, and whether it is predicted (token
  classification). True entities beyond the longest input count as missed.

The candidate's order of labels is used for the baseline too, even if the baseline knows other labels. The view also
adds `text_length`, to slice by.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.proto import config_pb2

from kerasbert.data import Labels
from kerasbert.training.entity_metrics import spans

TEXT_LENGTH = "text_length"
# Upper bounds of the length classes, in words.
_LENGTHS = (8, 16, 32, 64, 128)

Extracts = dict[str, Any]
Answer = Mapping[str, np.ndarray]
Pair = tuple[np.ndarray, np.ndarray]


class Row(NamedTuple):
    """The labels and texts of a row, and all label names in the order of training."""

    true: np.ndarray
    texts: tuple[str, ...]
    names: tuple[str, ...]


# A row and one model's answer -> label and prediction for TFMA.
View = Callable[[Row, Answer], Pair]


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns TFMA's own extractors, with one that computes the views before rows are sliced. TFX calls this."""
    extractors: list[tfma.extractors.Extractor] = tfma.default_extractors(
        eval_shared_model=eval_shared_model,
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )
    position = [extractor.stage_name for extractor in extractors].index(
        slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME
    )
    names = sorted({name for spec in eval_config.metrics_specs for name in spec.output_names})
    label_key = eval_config.model_specs[0].label_key
    models = [spec.name for spec in eval_config.model_specs]
    candidate = next((spec.name for spec in eval_config.model_specs if not spec.is_baseline), "")
    views = tfma.extractors.Extractor(
        stage_name="ExtractViews",
        ptransform=_extract_views(view_names=names, label_key=label_key, models=models, candidate=candidate),
    )
    return [*extractors[:position], views, *extractors[position:]]


@beam.ptransform_fn
def _extract_views(rows: beam.PCollection, **arguments: Any) -> beam.PCollection:
    return rows | "Views" >> beam.Map(with_views, **arguments)


def with_views(
    extracts: Extracts, view_names: Sequence[str], label_key: str, models: Sequence[str], candidate: str
) -> Extracts:
    """Replaces the strings of one row by its views.

    Args:
        extracts: TFMA's features, labels and predictions of one row.
        view_names: The views that the metrics use.
        label_key: The feature with the label.
        models: The names of the models.
        candidate: The name of the model whose order of labels is used.
    """
    result = dict(extracts)
    features = dict(extracts[constants.FEATURES_KEY])
    predictions = extracts[constants.PREDICTIONS_KEY]
    is_single = len(models) == 1
    answers = {model: predictions if is_single else predictions[model] for model in models}
    texts = tuple(text for name, values in features.items() if name != label_key for text in _strings(values))
    row = Row(np.ravel(features[label_key]), texts, label_order(answers[candidate]))
    labels: dict[str, dict[str, np.ndarray]] = {}
    outputs: dict[str, dict[str, np.ndarray]] = {}
    for model, answer in answers.items():
        pairs = {view: VIEWS[view](row, answer) for view in view_names}
        labels[model] = {view: pair[0] for view, pair in pairs.items()}
        outputs[model] = {view: pair[1] for view, pair in pairs.items()}
    result[constants.LABELS_KEY] = labels[candidate] if is_single else labels
    result[constants.PREDICTIONS_KEY] = outputs[candidate] if is_single else outputs
    features[TEXT_LENGTH] = np.array([length_class(texts)])
    result[constants.FEATURES_KEY] = features
    return result


def label_order(answer: Answer) -> tuple[str, ...]:
    """Returns the labels that a classifier knows, in the order of training. Empty for other models."""
    return _order(tuple(sorted(_strings(answer["labels"])))) if "label" in answer else ()


def length_class(texts: Sequence[str]) -> str:
    """Returns the length class of all texts of a row together, e.g. "9-16 words"."""
    words = sum(len(text.split()) for text in texts)
    lower = 0
    for upper in _LENGTHS:
        if words <= upper:
            return f"{lower}-{upper} words"
        lower = upper + 1
    return f"{lower} words and more"


def _class_probabilities(row: Row, answer: Answer) -> Pair:
    label = _strings(row.true)[0]
    # A label that the model does not know gets -1, which TFMA treats as none of the classes.
    return np.array([row.names.index(label) if label in row.names else -1]), _probabilities(answer, row.names)


def _best_class(row: Row, answer: Answer) -> Pair:
    is_right = _strings(answer["label"])[0] == _strings(row.true)[0]
    return np.array([float(is_right)]), np.ravel(answer["probability"])


def _class_flags(row: Row, answer: Answer) -> Pair:
    known = set(_strings(row.true))
    return np.array([float(name in known) for name in row.names]), _probabilities(answer, row.names)


def _number(row: Row, answer: Answer) -> Pair:
    return np.ravel(row.true).astype(np.float64), np.ravel(answer["prediction"])


def _entities(row: Row, answer: Answer) -> Pair:
    """Compares entities by their first byte, the byte after their last, and their kind."""
    sizes = [len(word.encode()) for word in row.texts[0].split(" ")]
    begins = [sum(sizes[:index]) + index for index in range(len(sizes))]
    true = {
        (begins[first], begins[last - 1] + sizes[last - 1], kind) for first, last, kind in spans(_strings(row.true))
    }
    columns = [np.ravel(answer[name]).tolist() for name in ("starts", "ends")]
    count = int(np.ravel(answer["entity_count"])[0])
    found = set(list(zip(*columns, _strings(answer["labels"]), strict=True))[:count])
    # A row without entities counts as one true negative, because TFMA needs at least one value.
    either: list[Any] = sorted(true | found) or [None]
    return np.array([float(entity in true) for entity in either]), np.array(
        [float(entity in found) for entity in either]
    )


VIEWS: dict[str, View] = {
    "class_probabilities": _class_probabilities,
    "best_class": _best_class,
    "class_flags": _class_flags,
    "number": _number,
    "entities": _entities,
}

_orders: dict[tuple[str, ...], tuple[str, ...]] = {}


def _order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the order of `Labels`, computed once for each set of names."""
    if names not in _orders:
        _orders[names] = Labels.from_training([list(names)]).names
    return _orders[names]


def _probabilities(answer: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Returns a model's probabilities [C] in the order of `names`, 0 for labels that it does not know."""
    by_label = dict(zip(_strings(answer["labels"]), np.ravel(answer["probabilities"]).tolist(), strict=True))
    return np.array([by_label.get(name, 0.0) for name in names])


def _strings(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in np.ravel(values).tolist()]
