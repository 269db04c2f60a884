"""The types of settings: plain types with their ranges, and the spellings that are accepted for them.

A value may come from Python, YAML, an environment variable or a command line, so numbers may be text ("1e-4", which is
how YAML reads it) and truth values may be words ("yes", "off"). What is ambiguous is refused: `true` is no number, and
1.5 is no count.
"""

import contextlib
import json
import math
import operator
import os
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

# The kinds of answers that `BertSequenceClassifier` gives.
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
Task = Literal[ProblemType, "token_classification", "question_answering"]
LabelPieces = Literal["first", "all"]
Optimizer = Literal["adamw", "original", "stable_adamw", "lamb"]
Schedule = Literal["linear", "original", "warmup_stable_decay", "one_cycle"]
Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16", "bfloat16"]
InferencePrecision = Literal["float32", "bfloat16", "int8", "auto"]

PROBLEM_TYPES: tuple[str, ...] = get_args(ProblemType)
TASKS: tuple[str, ...] = get_args(Task)
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)

# Counts must fit what TensorFlow and protocol buffers hold, and NumPy's seeds have 32 bits.
_LARGEST_COUNT = 2**31 - 1
_LARGEST_SEED = 2**32 - 1
_TRUE = ("true", "yes", "on", "1", "y", "t")
_FALSE = ("false", "no", "off", "0", "n", "f")


@dataclass(frozen=True)
class Flags:
    """How a command spells a setting, where `--` and the setting's name with hyphens is not it.

    Args:
        names: the option's spellings, e.g. `("--output", "-o")` or `("--strip-accents/--keep-accents",)`.
        value: for an option without a value: what giving it sets the setting to.
        help: the option's help text, where the setting's own does not fit.
    """

    names: tuple[str, ...]
    value: bool | None = None
    help: str = ""


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words, where its type does not say it.

    Args:
        text: The words after "must be".
        example: A value that would be accepted.
    """

    text: str
    example: str


def whole_number(value: Any) -> int:
    """Converts a whole number from any type or text that clearly means one.

    Raises:
        ValueError: It is something else, e.g. `True` or 1.5.

    Example:
        >>> whole_number("1e4"), whole_number(3.0), whole_number("10_000")
        (10000, 3, 10000)
    """
    if isinstance(value, bool):
        raise ValueError("a truth value is not a number")
    with contextlib.suppress(TypeError):
        return operator.index(value)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return int(value)
    number = finite_number(value)
    if number != int(number):
        raise ValueError("a fraction is not a whole number")
    return int(number)


def finite_number(value: Any) -> float:
    """Converts a finite number from any type or text that clearly means one.

    Raises:
        ValueError: It is something else, e.g. NaN, infinity or `True`.
    """
    if isinstance(value, bool):
        raise ValueError("a truth value is not a number")
    try:
        number = float(value)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def truth_value(value: Any) -> bool:
    """Converts a truth value: `True`, `False`, 0, 1, or a word that YAML or a shell user writes for them.

    Raises:
        ValueError: It is something else.

    Example:
        >>> truth_value("no"), truth_value("On"), truth_value(1)
        (False, True, True)
    """
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("neither true nor false")


def text(value: Any) -> str:
    """Converts text, a path or a whole number (a column or a project may have one for a name) to text.

    Raises:
        ValueError: It is something else, e.g. `True`, which YAML makes of an unquoted `yes`.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("not text")


def yes_or_no(value: Any) -> Any:
    """Converts any spelling of a truth value to "yes" or "no": YAML reads an unquoted `no` as `False`."""
    with contextlib.suppress(ValueError):
        return "yes" if truth_value(value) else "no"
    return value.strip().lower() if isinstance(value, str) else value


def hyphens_too(value: Any) -> Any:
    """Converts the name of a choice, e.g. of a package, that is written with hyphens: "keras-tuner"."""
    return value.strip().replace("-", "_") if isinstance(value, str) else value


def class_weights(value: Any) -> Any:
    """Converts text to class weights: "balanced", "label=weight,label=weight" or a JSON object.

    Raises:
        ValueError: The text is something else.

    Example:
        >>> class_weights("spam=4,ham=0.5")
        {'spam': 4.0, 'ham': 0.5}
    """
    if not isinstance(value, str) or value.strip().lower() == "balanced":
        return "balanced" if isinstance(value, str) else value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    weights = {}
    for part in value.split(","):
        label, sign, weight = part.rpartition("=")
        if not sign:
            raise ValueError("no weight for a label")
        weights[label.strip()] = finite_number(weight)
    return weights


def several(value: Any) -> Any:
    """Makes a list of one out of a single text or path."""
    return (value,) if isinstance(value, str | os.PathLike) else value


Flag = Annotated[bool, BeforeValidator(truth_value)]
Text = Annotated[str, BeforeValidator(text)]
# `~` is expanded here: a shell leaves it unchanged in `--set data=~/rows.csv`.
PathText = Annotated[Text, AfterValidator(os.path.expanduser)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(several)]
Paths = Annotated[tuple[PathText, ...], BeforeValidator(several)]

NotEmptyText = Annotated[str, Field(min_length=1), BeforeValidator(text)]

# A range comes before the conversion, so that it is a range in the JSON schema too.
_WHOLE, _NUMBER = BeforeValidator(whole_number), BeforeValidator(finite_number)
Count = Annotated[int, Field(ge=1, le=_LARGEST_COUNT), _WHOLE]
CountFromZero = Annotated[int, Field(ge=0, le=_LARGEST_COUNT), _WHOLE]
Length = Annotated[int, Field(ge=8, le=_LARGEST_COUNT), _WHOLE]
VocabularySize = Annotated[int, Field(ge=7, le=_LARGEST_COUNT), _WHOLE]
Percent = Annotated[int, Field(ge=0, le=100), _WHOLE]
Seed = Annotated[int, Field(ge=0, le=_LARGEST_SEED), _WHOLE]
Finite = Annotated[float, _NUMBER]
Positive = Annotated[float, Field(gt=0), _NUMBER]
NotNegative = Annotated[float, Field(ge=0), _NUMBER]
Share = Annotated[float, Field(ge=0, le=1), _NUMBER]
SomeShare = Annotated[float, Field(gt=0, le=1), _NUMBER]
PartShare = Annotated[float, Field(gt=0, lt=1), _NUMBER]
Rate = Annotated[float, Field(ge=0, lt=1), _NUMBER]
Megabytes = Annotated[float, Field(ge=0.001, le=10**9), _NUMBER]
ClassWeights = Annotated[
    Literal["balanced"] | dict[str, Positive],
    BeforeValidator(class_weights),
    Rule("`balanced`, or weights greater than 0 as label=weight,label=weight", "balanced"),
]
