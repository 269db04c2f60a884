"""Runs the contestants of one case in turns, and compares their outputs before anything is timed."""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inference import comparison, environments, texts
from benchmarks.inference.cases import Case, job_of
from benchmarks.inference.contestants import TOKENIZERS, Contestant
from benchmarks.inference.model_files import ModelFiles
from benchmarks.inference.work import operations
from benchmarks.inference.worker_process import RowError, Workers

# Threads of libraries spin for some milliseconds after their work. They must not take time from the next contestant.
PAUSE = 0.2
MAX_TOKENS = 256


@dataclass
class Setting:
    """What all cases of a run share.

    Attributes:
        files: the model folders.
        workers: the loaded workers.
        contestants: the rows to compare.
        rounds: number of timed runs of each.
        min_seconds: the least time of a run. Short jobs are repeated.
        any_precision: whether rows run in a precision that the processor has no instructions for.
    """

    files: ModelFiles
    workers: Workers
    contestants: Sequence[Contestant]
    rounds: int
    min_seconds: float
    any_precision: bool


def measure(case: Case, setting: Setting) -> dict[str, Any]:
    """Return the result of a case: its facts and one row for each contestant."""
    job = job_of(case)
    contestants = [each for each in setting.contestants if case.kind in each.kinds]
    model = setting.files.model(case.model) if case.model else Path()
    prepared: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    for contestant in contestants:
        row = rows[contestant.name] = {"precision": contestant.precision, "ours": contestant.is_ours}
        try:
            prepared[contestant.name] = _prepare(case, job, contestant, model, setting, row)
            say(f"{case.name}: {contestant.name} is ready after {row['prepare_s']:.1f} s")
        except RowError as error:
            row["why_not"] = str(error)
            say(f"{case.name}: no {contestant.name}: {error}")
    reference = _compare(case, contestants, prepared, rows)
    timed = [each for each in contestants if "why_not" not in rows[each.name]]
    _time(timed, model, setting, rows, case)
    return {**_facts(case, job, model, setting), "reference": reference, "rows": rows}


def _prepare(
    case: Case, job: dict[str, Any], contestant: Contestant, model: Path, setting: Setting, row: dict[str, Any]
) -> Any:
    """Load a contestant if necessary, run the job once, and return its outputs."""
    if contestant.precision == "bfloat16" and not (setting.any_precision or environments.has_bfloat16()):
        raise RowError("the processor has no instructions for bfloat16")
    if contestant.files:
        setting.files.add(model, contestant.files)
    worker = setting.workers.get(contestant, model)
    reply = worker.ask(do="prepare", kind=case.kind, **job)
    row |= {"versions": worker.versions, "prepare_s": reply["seconds"]}
    return comparison.decoded(reply)


def _compare(
    case: Case, contestants: Sequence[Contestant], prepared: dict[str, Any], rows: dict[str, dict[str, Any]]
) -> str | None:
    """Note the difference of each row to the reference, whose name is returned. Drop rows that differ too much.

    The reference is a peer in float32 if there is one: the first in the table.
    """
    if case.kind == "matmul":
        return None
    found = [each for each in contestants if each.name in prepared]
    exact = [each for each in found if each.precision in ("float32", "text")]
    reference = next((each for each in exact if not each.is_ours), exact[0] if exact else None)
    if reference is None:
        return None
    for contestant in found:
        outputs, expected = prepared[contestant.name], prepared[reference.name]
        row = rows[contestant.name]
        row["difference"] = comparison.difference(outputs, expected)
        limit = comparison.tolerance(expected, contestant.precision)
        if not row["difference"] <= limit:
            row["why_not"] = (
                f"its answers differ from those of {reference.name} by {row['difference']:.2g}, limit {limit}"
            )
            say(f"{case.name}: no {contestant.name}: {row['why_not']}")
    return reference.name


def _time(
    contestants: Sequence[Contestant], model: Path, setting: Setting, rows: dict[str, dict[str, Any]], case: Case
) -> None:
    """Run all rounds, each in another order, and add the times to the rows."""

    def run(contestant: Contestant) -> dict[str, float]:
        worker = setting.workers.get(contestant, model)
        return worker.ask(do="run", min_seconds=setting.min_seconds)

    in_rounds(contestants, setting.rounds, run, rows, case.name)
    for row in rows.values():
        if "wall_s" in row:
            row |= summary(row["wall_s"], row["cpu_s"])


def in_rounds(
    contestants: Sequence[Contestant],
    rounds: int,
    run: Callable[[Contestant], dict[str, float]],
    rows: dict[str, dict[str, Any]],
    name: str,
) -> None:
    """Call `run` for each contestant in each round, and append the numbers that it returns to the rows."""
    order = list(contestants)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for contestant in order:
            row = rows[contestant.name]
            if "why_not" in row:
                continue
            time.sleep(PAUSE)
            try:
                found = run(contestant)
            except RowError as error:
                row["why_not"] = str(error)
                continue
            for key, value in found.items():
                row.setdefault(key, []).append(value)
        say(f"{name}: round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}")


def summary(wall_s: list[float], cpu_s: list[float]) -> dict[str, float]:
    """Return the median and the best time, and the median of the processor time of all cores."""
    return {
        "median_s": statistics.median(wall_s),
        "best_s": min(wall_s),
        "spread": max(wall_s) / min(wall_s),
        "cpu_median_s": statistics.median(cpu_s),
    }


def _facts(case: Case, job: dict[str, Any], model: Path, setting: Setting) -> dict[str, Any]:
    """Return what a case consists of."""
    facts: dict[str, Any] = {"name": case.name, "title": case.title, "group": case.group, "kind": case.kind}
    facts |= {"rows_of_job": case.rows, "batch_size": case.batch_size}
    if case.kind == "matmul":
        return {**facts, "operations": 2 * case.rows**3}
    if "ids" in job:
        lengths = [len(row) for row in job["ids"]]
    else:
        facts |= {"texts_digest": texts.digest(job["texts"]), "bytes": sum(len(text.encode()) for text in job["texts"])}
        lengths = _lengths(job["texts"], model, setting)
    facts |= {"tokens": sum(lengths), "longest": max(lengths, default=0)}
    return facts if case.kind == "tokenize" else {**facts, "operations": operations(model, lengths)}


def _lengths(lines: list[str], model: Path, setting: Setting) -> list[int]:
    """Return the number of tokens of each text, with the two special tokens."""
    reply = setting.workers.get(TOKENIZERS[0], model).ask(do="prepare", kind="tokenize", texts=lines, batch_size=256)
    return [min(len(pieces) + 2, MAX_TOKENS) for pieces in reply["values"]]


def say(message: str) -> None:
    """Print progress."""
    print(message, file=sys.stderr, flush=True)
