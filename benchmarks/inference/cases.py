"""The table of cases: what is run, on which model and how much of it."""

from dataclasses import dataclass
from typing import Any

from benchmarks.inference import texts


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: the name on the command line.
        title: what a reader sees.
        group: cases that are chosen together.
        kind: the kind of job; see the workers.
        model: the model folder; None if no model is run.
        rows: number of texts or of rows of ids. For "matmul", the size of the matrices.
        batch_size: rows in a call.
        length: tokens of a row of ids.
    """

    name: str
    title: str
    group: str
    kind: str
    model: str | None
    rows: int
    batch_size: int = 32
    length: int | None = None


def all_cases(text_count: int, command_rows: int) -> list[Case]:
    """Return the table.

    Args:
        text_count: texts of a case in batches of 32 or 256. Smaller batches take longer per text, and have fewer.
        command_rows: rows of the cases of commands.
    """
    few = max(text_count // 4, 1)
    return [
        Case("limit_1024", "Matrix product, 1024 x 1024", "limit", "matmul", None, 1024),
        Case("limit_2048", "Matrix product, 2048 x 2048", "limit", "matmul", None, 2048),
        *(
            Case(f"texts_{size}", f"Strings to vectors, batch {size}", "core", "texts", "minilm", rows, size)
            for size, rows in ((1, few), (8, max(text_count // 2, 1)), (32, text_count), (256, text_count))
        ),
        *(
            Case(f"ids_{rows}x{length}", f"{rows} x {length} tokens", "core", "ids", "minilm", rows, rows, length)
            for rows, length in ((1, 128), (8, 128), (32, 128), (8, 512))
        ),
        *(
            Case(
                f"base_{rows}x{length}", f"BERT-base, {rows} x {length}", "base", "ids", "bert_base", rows, rows, length
            )
            for rows, length in ((1, 128), (8, 128), (32, 128), (8, 512))
        ),
        Case("embed", "Vectors of a whole file", "commands", "embed", "minilm", command_rows),
        Case("predict", "Labels of a whole file", "commands", "predict", "minilm_classifier", command_rows),
        Case("evaluate", "Accuracy on a whole file", "commands", "evaluate", "minilm_classifier", command_rows),
        Case("tokenize_english", "Word pieces of English", "tokenizer", "tokenize", "minilm", 10_000),
        Case("tokenize_chinese", "Word pieces of Chinese", "tokenizer", "tokenize", "minilm", 2_000),
        Case("start", "Process start to first vector", "start", "start", "minilm", 1, 1),
        Case("server", "Server", "server", "server", "minilm", 1),
    ]


def chosen(cases: list[Case], names: str) -> list[Case]:
    """Return the cases of a comma-separated list of names and groups.

    Raises:
        ValueError: a name does not exist.
    """
    known = {case.name for case in cases} | {case.group for case in cases} | {"all"}
    wanted = set(names.split(","))
    if wanted - known:
        raise ValueError(f"Cases must be of {', '.join(sorted(known))}. Received: {', '.join(sorted(wanted - known))}.")
    return [case for case in cases if {case.name, case.group, "all"} & wanted]


def job_of(case: Case) -> dict[str, Any]:
    """Return the data of a job: the arguments of the worker's method."""
    if case.kind == "matmul":
        return {"size": case.rows}
    if case.kind == "ids":
        return {"ids": texts.random_ids(case.rows, case.length or 0)}
    lines = (texts.chinese if "chinese" in case.name else texts.english)(case.rows)
    job: dict[str, Any] = {"texts": lines, "batch_size": case.batch_size}
    if case.kind == "evaluate":
        job["labels"] = [f"label {number % 77}" for number in range(len(lines))]
    return job
