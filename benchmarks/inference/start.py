"""Measures a fresh process: the time from its start to its first answer, and its memory."""

import time
from typing import Any

from benchmarks.inference import environments, texts
from benchmarks.inference.cases import Case
from benchmarks.inference.contestants import Contestant
from benchmarks.inference.measuring import Setting, in_rounds, summary
from benchmarks.inference.worker_process import RowError

TEXT = texts.english(1)


def measure_start(case: Case, setting: Setting) -> dict[str, Any]:
    """Return the result of the case: one row for each contestant that turns texts into vectors."""
    assert case.model
    model = setting.files.model(case.model)
    setting.workers.close()
    contestants = [each for each in setting.contestants if {"texts", "embed"} & set(each.kinds)]
    rows: dict[str, dict[str, Any]] = {}
    for contestant in contestants:
        row = rows[contestant.name] = {"precision": contestant.precision, "ours": contestant.is_ours}
        try:
            if contestant.precision == "bfloat16" and not (setting.any_precision or environments.has_bfloat16()):
                raise RowError("the processor has no instructions for bfloat16")
            if contestant.files:
                setting.files.add(model, contestant.files)
        except RowError as error:
            row["why_not"] = str(error)

    def run(contestant: Contestant) -> dict[str, float]:
        begin = time.perf_counter()
        worker = setting.workers.start(contestant, model)
        try:
            kind = "texts" if "texts" in contestant.kinds else "embed"
            worker.ask(do="prepare", kind=kind, texts=TEXT, batch_size=1)
            seconds = time.perf_counter() - begin
            return {"wall_s": seconds, "load_s": worker.load_seconds, **worker.memory_and_time()}
        finally:
            worker.close()

    in_rounds(contestants, setting.rounds, run, rows, case.name)
    for row in rows.values():
        if "wall_s" in row:
            row |= summary(row["wall_s"], row["cpu_s"])
    return {"name": case.name, "title": case.title, "group": case.group, "kind": case.kind, "rows": rows}
