"""Writes the tables of signatures into docs/export.md, from `kerasbert.export.signatures`.

python -m tests.export.signature_tables
"""

from collections.abc import Mapping
from pathlib import Path

from kerasbert.export.signature_tensors import SIZES, Tensor
from kerasbert.export.signatures import METHODS, SIGNATURES, TITLES, SignatureInfo

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
BEGIN, END = "<!-- Written by tests/export/signature_tables.py -->\n", "<!-- End of the tables -->\n"
MODELS = {
    "backbone": "BertBackbone",
    "classifier": "BertSequenceClassifier",
    "regressor": 'BertSequenceClassifier` with `problem_type="regression"',
    "token_classifier": "BertTokenClassifier",
    "span_predictor": "BertSpanPredictor",
    "multiple_choice": "BertMultipleChoice",
    "sentence_encoder": "BertSentenceEncoder",
    "pretrainer": "BertPretrainer",
}
COMMON = ("embed", "tokenize", "attention", "attention_layers")


def tables() -> str:
    """The tables as Markdown: sizes, the signatures of every model, and then those of each kind of model."""
    lines = ["| size | meaning |", "| --- | --- |", *(f"| {name} | {meaning} |" for name, meaning in SIZES.items()), ""]
    lines += ["### Every model", ""]
    for name in COMMON:
        lines += _signature(name, SIGNATURES["classifier"][name], set())
    for form, signatures in SIGNATURES.items():
        lines += [f"### {TITLES[form]}", "", f"`{MODELS[form]}`", ""]
        shown: set[tuple[str, ...]] = set()
        for name, info in signatures.items():
            if name not in COMMON or info != SIGNATURES["classifier"][name]:
                lines += _signature(name, info, shown)
    return "\n".join(lines)


def _signature(name: str, info: SignatureInfo, shown: set[tuple[str, ...]]) -> list[str]:
    """One signature: a sentence, and a table of its tensors. Outputs that an earlier table lists are only named."""
    method = f" (TF Serving's {name.capitalize()})" if name in METHODS else ""
    condition = f" {info.condition}" if info.condition else ""
    lines = [f"**`{name}`**{method}: {info.purpose}{condition}", "", "| | name | type | meaning |"]
    lines += ["| --- | --- | --- | --- |", *_rows("input", info.inputs)]
    outputs = tuple(info.outputs)
    if outputs in shown:
        lines.append(f"| output | {', '.join(f'`{key}`' for key in outputs)} | | as above |")
    else:
        lines += _rows("output", info.outputs)
    shown.add(outputs)
    return [*lines, ""]


def _rows(side: str, tensors: Mapping[str, Tensor]) -> list[str]:
    return [f"| {side} | `{name}` | {tensor.type} | {tensor.meaning} |" for name, tensor in tensors.items()]


def updated(page: str) -> str:
    """The page with current tables."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + "\n" + tables() + END + after


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
