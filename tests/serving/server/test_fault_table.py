"""The tests in the table of faults in the documentation exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_test_of_the_table_exists():
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    table = text.partition("## Faults")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    for fault, _, tests in rows:
        file = None
        for path, name in re.findall(r"`([\w/.]*)(?:::(\w+))?`", tests):
            file = (ROOT if "/" in path else ROOT / "tests" / "serving" / "server") / path if path else file
            assert file.exists(), fault
            assert f"def {name}(" in file.read_text(encoding="utf-8") or not name, (fault, name)
