"""Writes the tables and the plot of a result into the documentation page, between two comments."""

from pathlib import Path
from typing import Any

from benchmarks.inference.ratios import fastest, peaks, ratio, share

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PLOT = "images/inference_speed.svg"
OURS_COLOUR, PEER_COLOUR = "#2460c4", "#a8b0bb"


def render(result: dict[str, Any], page: Path) -> None:
    """Replace what is between the comments of a page, and draw the plot next to it."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"The page must contain the lines {BEGIN} and {END}. Received: {page}.")
    cases = [case for case in result["cases"] if case["kind"] != "matmul"]
    limits = peaks(result["cases"])
    parts = [_about(result, limits), _summary(cases)]
    timed = [case for case in cases if any("median_s" in row for row in case["rows"].values())]
    if timed:
        (page.parent / PLOT).parent.mkdir(exist_ok=True)
        draw(timed, page.parent / PLOT)
        parts.append(f"![Speed of each library in each case]({PLOT})")
    parts += [_table(case, limits) for case in cases]
    page.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8")


def _about(result: dict[str, Any], limits: dict[str, float]) -> str:
    """Return a paragraph about the machine."""
    machine = result["machine"]
    instructions = ", ".join(machine["instructions"]) or "none of interest"
    measured = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in limits.items()) or "not measured"
    return (
        f"Measured on {result['date'][:10]}, commit `{machine['commit']}`: {machine['processor']}, {machine['cores']} "
        f"cores, {machine['memory_gb']:.0f} GB, instructions {instructions}. Rounds: {result['options']['rounds']}. "
        f"Largest rate of a matrix product, in 10^9 operations per second: {measured}."
    )


def _summary(cases: list[dict[str, Any]]) -> str:
    """Return the table of ratios: the fastest peer's time divided by ours."""
    head = "| case | ours, float32 | fastest peer, float32 | ratio | ours, any | fastest peer, any | ratio |"
    lines = ["### Summary", "", head, "| --- | ---: | --- | ---: | --- | --- | ---: |"]
    for case in cases:
        cells = [case["title"]]
        for precision in ("text" if case["kind"] == "tokenize" else "float32", None):
            ours, theirs = (fastest(case, precision, ours=each) for each in (True, False))
            mine = case["rows"][ours]["median_s"] if ours else None
            name = f"{ours}: " if ours and precision is None else ""
            cells.append(f"{name}{_time(mine)}" if ours else "–")
            cells.append(f"{theirs}: {_time(case['rows'][theirs]['median_s'])}" if theirs else "–")
            cells.append(f"{case['rows'][theirs]['median_s'] / mine:.2f}" if mine and theirs else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _table(case: dict[str, Any], limits: dict[str, float]) -> str:
    """Return the table of a case, the fastest row first, and the rows without numbers with the reason."""
    shown, columns = _columns(case)
    head = ["row", *columns]
    lines = [f"### {case['title']}", "", _description(case), "", f"| {' | '.join(head)} |"]
    lines.append(f"| --- |{' ---: |' * len(columns)}")
    rows = [(name, row) for name, row in case["rows"].items() if "median_s" in row and "why_not" not in row]
    for name, row in sorted(rows, key=lambda item: item[1]["median_s"]):
        cells = [f"**{name}**" if row["ours"] else name, *(each(case, row, limits) for each in shown)]
        lines.append(f"| {' | '.join(cells)} |")
    missing = [f"* {name}: {row['why_not']}" for name, row in case["rows"].items() if "why_not" in row]
    return "\n".join([*lines, *(["", "Not measured:", "", *missing] if missing else [])])


def _columns(case: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """Return functions that make the cells of a row, and the names of the columns."""
    relative = [lambda case, row, limits: _number(ratio(case, row), 2)], ["against the fastest peer of its class"]
    if case["kind"] == "server":
        functions = [
            lambda case, row, limits: f"{1 / row['median_s']:,.1f}",
            lambda case, row, limits: f"{sorted(row['p50_ms'])[len(row['p50_ms']) // 2]:,.1f}",
            lambda case, row, limits: f"{sorted(row['p99_ms'])[len(row['p99_ms']) // 2]:,.1f}",
            lambda case, row, limits: _percent(_of_bare_loop(case, row)),
        ]
        return functions, ["requests per second", "p50, ms", "p99, ms", "of the bare loop"]
    functions = [
        lambda case, row, limits: _time(row["median_s"]),
        lambda case, row, limits: _time(row["best_s"]),
        lambda case, row, limits: _time(row["cpu_median_s"]),
    ]
    names = ["median", "best", "processor time"]
    if case["kind"] == "start":
        functions += [lambda case, row, limits: f"{max(row['peak_mb']):,.0f} MB"]
        return [*functions, *relative[0]], [*names, "largest memory", *relative[1]]
    if case["kind"] == "tokenize":
        functions += [lambda case, row, limits: f"{case['bytes'] / row['median_s'] / 1e6:.2f}"]
        return [*functions, *relative[0]], [*names, "MB/s", *relative[1]]
    functions += [
        lambda case, row, limits: f"{case['rows_of_job'] / row['median_s']:,.0f}",
        *relative[0],
        lambda case, row, limits: _percent(share(case, row, limits)),
        lambda case, row, limits: f"{row['difference']:.0e}",
    ]
    return functions, [*names, "rows per second", *relative[1], "share of the limit", "difference"]


def _of_bare_loop(case: dict[str, Any], row: dict[str, Any]) -> float | None:
    """Return the requests per second of a row divided by those of the loop without a server."""
    bare = case["rows"]["bare loop"].get("median_s")
    return bare / row["median_s"] if bare else None


def _description(case: dict[str, Any]) -> str:
    """Return a sentence about the data of a case."""
    if "tokens" not in case:
        return "All rows get the same texts."
    words = f"{case['rows_of_job']:,} rows, {case['tokens']:,} tokens, the longest row {case['longest']}."
    return f"{words} Answers are compared with those of {case['reference']}."


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of each row, one panel per case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "inference", "font.size": 8})
    height = sum(len(case["rows"]) * 0.17 + 0.5 for case in cases)
    figure, axes = plt.subplots(
        len(cases), 1, figsize=(8, height), squeeze=False, height_ratios=[len(case["rows"]) + 1 for case in cases]
    )
    for case, axis in zip(cases, axes[:, 0], strict=True):
        timed = [(name, row) for name, row in case["rows"].items() if "median_s" in row and "why_not" not in row]
        timed.sort(key=lambda item: -item[1]["median_s"])
        colours = [OURS_COLOUR if row["ours"] else PEER_COLOUR for _, row in timed]
        medians = [1000 * row["median_s"] for _, row in timed]
        axis.barh([name for name, _ in timed], medians, color=colours)
        axis.plot([1000 * row["best_s"] for _, row in timed], range(len(timed)), "|", color="black")
        axis.set_title(f"{case['title']}: milliseconds, median (bar) and best (mark)", loc="left", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _time(seconds: float | None) -> str:
    """Return a duration with three digits."""
    if seconds is None:
        return "–"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}%"
