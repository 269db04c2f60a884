"""Reads questions with answers that are parts of a text: SQuAD 1.1 and 2.0, CMRC, DRCD, JSONL and tables.

| format | row |
| --- | --- |
| SQuAD 1.1 and 2.0, DRCD, CMRC in SQuAD's form | `{"data": [{"paragraphs": [{"context": "...", "qas": [...]}]}]}` |
| CMRC 2018 as published | `[{"context_text": "...", "qas": [{"query_text": "...", "answers": ["..."]}]}]` |
| JSONL, CSV, TSV | `{"question": "...", "context": "...", "answers": ...}` |

`answers` may be a text, a list of texts, a list of `{"text": "...", "answer_start": 5}`, or Hugging Face's
`{"text": [...], "answer_start": [...]}`. An empty list, and `"is_impossible": true`, mean that the text has no answer.
For how answers become positions of tokens, see kerasbert/recipes/tasks/question_windows.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from kerasbert.data.read_report import ReadReport
from kerasbert.data.split_plan import split_rows
from kerasbert.data.tables.json_rows import encodable, json_rows
from kerasbert.data.tables.table_format import PLAIN, TableFormat
from kerasbert.data.tables.table_rows import is_json, table_rows
from kerasbert.data.text_files import PathLike, find_text_files
from kerasbert.errors import BadInputError

_EXAMPLE = (
    'For example {"question": "Who lives here?", "context": "Anna lives here.", "answers": ["Anna"]} on each line.'
)
# The names that the formats give to a question, its text, its answers and its name.
_QUESTIONS, _CONTEXTS, _ANSWERS = ("question", "query_text"), ("context", "context_text"), ("answers", "answer")
_IDS = ("id", "query_id")


class Answer(NamedTuple):
    """An answer to a question.

    Attributes:
        text: the answer.
        start: the character of the context where it starts, or None if the context does not contain it.
    """

    text: str
    start: int | None


@dataclass(frozen=True)
class AskedQuestions:
    """Questions about texts, with or without answers.

    Attributes:
        questions: the questions.
        contexts: for each question, the text to search for its answer.
        answers: for each question, its answers: none if the text has no answer. None if no answers are known.
        ids: the name of each question in its file, or an empty string.
        places: the position of each question, for messages.

    Example:
        >>> rows = AskedQuestions(("Who?",), ("Anna sings.",), ((Answer("Anna", 0),),), ("",), ("line 1",))
        >>> len(rows), rows.texts
        (1, ('Anna sings.',))
    """

    questions: tuple[str, ...]
    contexts: tuple[str, ...]
    answers: tuple[tuple[Answer, ...], ...] | None
    ids: tuple[str, ...]
    places: tuple[str, ...]

    problem_type: ClassVar[str] = "question_answering"
    pairs: ClassVar[None] = None

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def texts(self) -> tuple[str, ...]:
        """The contexts, each once."""
        return tuple(dict.fromkeys(self.contexts))

    def targets(self, labels: Any = None) -> tuple[tuple[Answer, ...], ...]:
        """Returns the answers of each question.

        Raises:
            ValueError: the rows were read without answers.
        """
        if self.answers is None:
            raise ValueError("`targets` needs questions with answers. Received: questions without. Read their answers.")
        return self.answers

    def select(self, indices: Iterable[int]) -> "AskedQuestions":
        """Returns the rows at `indices`."""
        chosen = list(indices)
        questions, contexts, ids, places = (
            tuple(values[index] for index in chosen)
            for values in (self.questions, self.contexts, self.ids, self.places)
        )
        answers = None if self.answers is None else tuple(self.answers[index] for index in chosen)
        return AskedQuestions(questions, contexts, answers, ids, places)

    def split(self, fractions: Mapping[str, float], report: ReadReport | None = None) -> dict[str, "AskedQuestions"]:
        """Splits the rows by a hash of their contexts, so that all questions about a text are in the same part."""
        parts, note = split_rows(self.contexts, [()] * len(self), fractions)
        if note and report is not None:
            report.note(note)
        return {part: self.select(chosen) for part, chosen in parts.items()}


def read_questions(
    paths: PathLike | Iterable[PathLike],
    question_column: str = "question",
    context_column: str = "context",
    answer_column: str | None = "answers",
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
) -> AskedQuestions:
    """Reads questions about texts. For the formats, see the module.

    Args:
        paths: files, folders or glob patterns.
        question_column: the name of the question in JSON, CSV and TSV. If it is missing in JSON, the names of SQuAD and
            CMRC.
        context_column: the name of the text to search.
        answer_column: the name of the answers. None if they are not needed, e.g. for prediction.
        report: receives counts and notes.
        table_format: the format of the files.

    Returns:
        The questions of all files, in order. If the context does not contain an answer where the file says, the nearest
        place that contains it.

    Raises:
        BadInputError: a question, its context or its answers are missing, or there is no question.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "train.jsonl")
        >>> _ = path.write_text('{"question": "Who?", "context": "It is Anna.", "answers": ["Anna"]}')
        >>> read_questions(path).answers
        ((Answer(text='Anna', start=6),),)
    """
    report = ReadReport() if report is None else report
    columns = (question_column, context_column, answer_column)
    rows = [row for path in find_text_files(paths) for row in _rows(path, columns, report, table_format)]
    if not rows:
        raise BadInputError(f"Files must contain at least one question. Received: none. {_EXAMPLE}")
    questions, contexts, answers, ids, places = zip(*rows, strict=True)
    lost = sum(any(answer.start is None for answer in given) for given in answers)
    if lost:
        report.note(f"{lost} of {len(rows)} questions have an answer that their text does not contain")
    return AskedQuestions(questions, contexts, None if answer_column is None else answers, ids, places)


_Columns = tuple[str, str, str | None]
_Question = tuple[str, str, tuple[Answer, ...], str, str]


def _rows(path: Path, columns: _Columns, report: ReadReport, table_format: TableFormat) -> Iterator[_Question]:
    """Yields question, context, answers, id and position of each question of a file."""
    question, context, answers = columns
    if not is_json(path):
        wanted = {"text_column": question, "pair_column": context}
        wanted |= {"label_column": answers} if answers is not None else {}
        names = [name for name in columns if name is not None]
        for cells in table_rows(path, wanted, report, table_format):
            yield _question(dict(zip(names, cells.values, strict=True)), columns, cells.place)
        return
    for row, place in json_rows(path, [context], table_format.encoding, report):
        for paragraph in row["paragraphs"] if isinstance(row.get("paragraphs"), list) else [row]:
            nested = paragraph.get("qas") if isinstance(paragraph, dict) else None
            for asked in nested if isinstance(nested, list) else [paragraph]:
                report.lines += 1
                if not isinstance(asked, dict):
                    raise _refusal("must be an object", asked, place)
                yield _question({**paragraph, **asked} if nested else asked, columns, place)


def _question(row: Mapping[str, Any], columns: _Columns, place: str) -> _Question:
    """Returns one question, after checking it."""
    named = ((columns[0], *_QUESTIONS), (columns[1], *_CONTEXTS))
    question, context = (next((row[name] for name in names if row.get(name) is not None), None) for names in named)
    given = next((row[name] for name in _IDS if isinstance(row.get(name), str | int)), "")
    name = str(given)
    place = f"question {name!r}, {place}" if name else place
    if not isinstance(question, str) or not isinstance(context, str):
        raise _refusal("must have a text `question` and a text `context`", dict(row), place)
    context = str(encodable(context))
    answers = () if columns[2] is None else _answers(row, columns[2], context, place)
    return str(encodable(question)), context, answers, name, place


def _answers(row: Mapping[str, Any], column: str, context: str, place: str) -> tuple[Answer, ...]:
    """Returns the answers of a row, each once."""
    if row.get("is_impossible") is True:
        return ()
    given = next((row[name] for name in (column, *_ANSWERS) if row.get(name) is not None), None)
    if isinstance(given, dict) and isinstance(given.get("text"), list):  # Hugging Face
        starts = given.get("answer_start")
        starts = starts if isinstance(starts, list) else [None] * len(given["text"])
        if len(starts) != len(given["text"]):
            raise _refusal("must have a start for each answer", given, place)
        given = [{"text": text, "answer_start": start} for text, start in zip(given["text"], starts, strict=True)]
    if isinstance(given, str | dict):
        given = [given] if given else []
    if not isinstance(given, list):
        raise _refusal("must have `answers`, which may be an empty list", dict(row), place)
    answers = []
    for answer in given:
        text, start = (answer, None) if isinstance(answer, str) else _text_and_start(answer)
        if not isinstance(text, str) or not (start is None or type(start) is int):
            raise _refusal(
                "must have answers with a text and, if known, the number of its first character", answer, place
            )
        if text.strip():
            answers.append(_placed(str(encodable(text)), start, context))
    return tuple(dict.fromkeys(answers))


def _text_and_start(answer: Any) -> tuple[Any, Any]:
    return (answer.get("text"), answer.get("answer_start")) if isinstance(answer, dict) else (None, None)


def _placed(text: str, start: int | None, context: str) -> Answer:
    """Returns an answer with its place in the context: the given one, or the nearest one that has the same text."""
    start = 0 if start is None else start + len(text) - len(text.lstrip())
    text = text.strip()
    if start >= 0 and context.startswith(text, start):
        return Answer(text, start)
    before, after = context.rfind(text, 0, max(start, 0) + len(text)), context.find(text, max(start, 0))
    places = [place for place in (before, after) if place >= 0]
    return Answer(text, min(places, key=lambda place: abs(place - start)) if places else None)


def _refusal(rule: str, given: Any, place: str) -> BadInputError:
    return BadInputError(f"Each question {rule}. Received: {str(given)[:80]} in {place}. {_EXAMPLE}")
