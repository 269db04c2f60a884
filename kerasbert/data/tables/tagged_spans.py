"""Reads texts with spans of characters, as annotation tools export them, and turns the spans into tags of words.

| tool | row |
| --- | --- |
| Doccano | `{"text": "...", "label": [[0, 4, "PER"]]}`, or `"entities": [{"start_offset": 0, "end_offset": 4, ...}]` |
| Label Studio | `{"data": {"text": "..."}, "annotations": [{"result": [...]}]}`, or its short form (JSON-MIN) |
| Prodigy | `{"text": "...", "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"}` |

Words are separated by white space. Punctuation marks and CJK characters are words of their own, as in BERT's tokenizer,
and a word is split where a span begins or ends within it. Spans become BIO tags.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.data.read_report import ReadReport
from kerasbert.data.tables.json_rows import encodable, json_rows
from kerasbert.data.tables.table_format import TableFormat
from kerasbert.data.tables.tagged_columns import TaggedRow
from kerasbert.errors import BadInputError

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+|[^\s]")
_OUTSIDE = "O"
_LABELS = ("label", "labels", "entities")
# The names that tools give to the first character of a span, the character after the last one, and the label.
_STARTS, _ENDS, _KINDS = ("start", "start_offset"), ("end", "end_offset"), ("label", "labels", "type")


class _Span(NamedTuple):
    start: int
    end: int
    label: str


def has_spans(path: Path, text_column: str, label_column: str, table_format: TableFormat) -> bool:
    """Returns whether the first row of a JSON file has a text with spans, and not a list of words."""
    columns = (text_column, "text")
    for row, _ in json_rows(path, columns[1:], table_format.encoding, ReadReport(), text_is_list=True):
        if isinstance(row.get("data"), dict) and ("annotations" in row or "completions" in row):
            return True
        if not any(isinstance(row.get(column), str) for column in columns):
            return False
        if isinstance(row.get("spans"), list):
            return True
        values = [row[name] for name in dict.fromkeys((label_column, *_LABELS)) if isinstance(row.get(name), list)]
        return any(all(isinstance(part, list | dict) for part in value) for value in values)
    return False


def span_rows(
    path: Path, text_column: str, label_column: str, report: ReadReport | None, table_format: TableFormat
) -> Iterator[TaggedRow]:
    """Yields the words, the tags and the position of each text. For the formats, see the module.

    Args:
        path: a JSON or JSONL file.
        text_column: the name of the text. If it is missing, "text".
        label_column: the name of the list of spans. If it is missing, "label", "labels" or "entities".
        report: receives counts and a note on rows that are left out.
        table_format: its encoding.

    Raises:
        BadInputError: a span has no label, is outside of its text, or overlaps with another span.
    """
    report = ReadReport() if report is None else report
    left_out = 0
    for row, place in json_rows(path, ["text"], table_format.encoding, report, text_is_list=True):
        report.lines += 1
        if row.get("answer", "accept") != "accept":  # Prodigy's rejected and ignored rows
            left_out += 1
            continue
        text, spans = _text_and_spans(row, text_column, label_column, place)
        words, tags = _tagged_words(text, _checked(spans, text, place))
        if words:
            yield words, tags, place
    if left_out:
        report.note(f"{left_out} rows of '{path}' that an annotator did not accept are left out")


def _text_and_spans(
    row: Mapping[str, Any], text_column: str, label_column: str, place: str
) -> tuple[str, list[Mapping[str, Any] | Sequence[Any]]]:
    """Returns the text of a row and its spans as they are written."""
    if isinstance(row.get("data"), dict):  # Label Studio
        given = row.get("annotations") or row.get("completions") or [{}]
        kept: Mapping[str, Any] = next((part for part in given if not part.get("was_cancelled")), {})
        results = [part.get("value") for part in kept.get("result", ()) if "value" in part]
        row = {**row["data"], "spans": [value for value in results if "start" in value]}
    text = next((row[name] for name in (text_column, "text") if isinstance(row.get(name), str)), None)
    spans = row.get("spans")
    if spans is None:
        names = (label_column, *_LABELS)
        spans = next((row[name] for name in names if row.get(name) is not None), [])
    if not isinstance(text, str) or not isinstance(spans, list):
        raise BadInputError(
            "A row with spans must have a text and a list of spans. "
            f"Received: {str(dict(row))[:80]} in {place}. "
            'For example {"text": "Anna lives here", "label": [[0, 4, "PER"]]}.'
        )
    return str(encodable(text)), spans


def _checked(spans: Iterable[Any], text: str, place: str) -> list[_Span]:
    """Returns the spans in order, without white space at their edges."""
    found = []
    for given in spans:
        span = _span(given, text)
        if span is None:
            raise BadInputError(
                "A span must have a first character, a character after the last one (both counted from 0 within the "
                f"text) and a label. Received: {str(given)[:80]} for a text of {len(text)} characters in {place}. "
                'For example [0, 4, "PER"].'
            )
        inside = text[span.start : span.end]
        start = span.start + len(inside) - len(inside.lstrip())
        found.append(_Span(start, start + len(inside.strip()), span.label))
    found.sort()
    for first, second in itertools.pairwise(found):
        if second.start < first.end:
            raise BadInputError(
                "The spans of a text must not overlap, because each word has one tag. "
                f"Received: {first[:]} and {second[:]} in {place}. Remove one of them."
            )
    return found


def _span(given: Any, text: str) -> _Span | None:
    """Returns one span, or None if it is not one."""
    if isinstance(given, Mapping):
        start, end, label = (next((given[name] for name in names if name in given), None) for names in _FIELDS)
        label = label[0] if isinstance(label, list) and len(label) == 1 else label
        start, end = _by_characters(start, end, given.get("text"), text)
    else:
        start, end, label = given if isinstance(given, list) and len(given) == 3 else (None, None, None)
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        return None
    label = re.sub(r"\s+", "_", label.strip())
    return _Span(start, end, label) if label and 0 <= start < end <= len(text) and text[start:end].strip() else None


_FIELDS = (_STARTS, _ENDS, _KINDS)


def _by_characters(start: Any, end: Any, quoted: Any, text: str) -> tuple[Any, Any]:
    """Returns offsets in characters. Tools in JavaScript count UTF-16 units, which shows if they quote the span."""
    if type(start) is not int or type(end) is not int or not isinstance(quoted, str) or text[start:end] == quoted:
        return start, end
    units = text.encode("utf-16-le")
    if units[2 * start : 2 * end].decode("utf-16-le", "replace") != quoted:
        return start, end
    before = len(units[: 2 * start].decode("utf-16-le"))
    return before, before + len(quoted)


def _tagged_words(text: str, spans: Sequence[_Span]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the words of a text and their BIO tags."""
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    words, tags = [], []
    for found in _WORD.finditer(text):
        cuts = [found.start(), *(edge for edge in edges if found.start() < edge < found.end()), found.end()]
        for start, end in itertools.pairwise(cuts):
            span = next((span for span in spans if span.start <= start < span.end), None)
            words.append(text[start:end])
            if span is None:
                tags.append(_OUTSIDE)
            else:
                tags.append(f"{'B' if start == span.start else 'I'}-{span.label}")
    return tuple(words), tuple(tags)
