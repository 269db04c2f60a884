"""What follows from the times of a result: the fastest rows, ratios, and shares of the machine's limit."""

from typing import Any


def fastest(case: dict[str, Any], precision: str | None, ours: bool) -> str | None:
    """Return the name of the fastest row of ours or of the peers, of one precision or of all."""
    rows = {
        name: row["median_s"]
        for name, row in case["rows"].items()
        if "median_s" in row and "why_not" not in row and row["ours"] == ours and precision in (None, row["precision"])
    }
    return min(rows, key=rows.__getitem__) if rows else None


def ratio(case: dict[str, Any], row: dict[str, Any]) -> float | None:
    """Return the time of the fastest peer of the same precision divided by that of a row: above 1, it is faster."""
    peer = fastest(case, row["precision"], ours=False)
    return case["rows"][peer]["median_s"] / row["median_s"] if peer else None


def peaks(cases: list[dict[str, Any]]) -> dict[str, float]:
    """Return the largest measured rate of matrix products by precision, in operations per second."""
    rates: dict[str, float] = {}
    for case in cases:
        for row in case["rows"].values():
            if case["kind"] == "matmul" and "best_s" in row:
                rates[row["precision"]] = max(rates.get(row["precision"], 0), case["operations"] / row["best_s"])
    return rates


def share(case: dict[str, Any], row: dict[str, Any], limits: dict[str, float]) -> float | None:
    """Return the share of the limit that a row reaches on real tokens, from its best time."""
    limit = limits.get(row["precision"])
    return case["operations"] / row["best_s"] / limit if limit and "operations" in case else None
