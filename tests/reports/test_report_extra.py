"""The extra `report` is loaded only when a report is made, and an error says clearly if it is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def test_importing_loads_neither_the_extra_nor_a_framework():
    heavy = "{'matplotlib', 'jinja2', 'tensorflow', 'keras'}"
    done = run_python(f"import sys, kerasbert.reports; print(sorted({heavy} & set(sys.modules)))")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_writing_a_report_loads_no_pyplot_and_no_framework(tmp_path):
    code = f"""
import sys, kerasbert.reports
report = kerasbert.reports.Report("run")
report.add_confusion_matrix([[1, 0], [0, 1]], ["a", "b"])
report.write({str(tmp_path / "report.html")!r})
print(sorted({{"matplotlib.pyplot", "tkinter", "tensorflow", "keras"}} & set(sys.modules)))
"""
    done = run_python(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
@pytest.mark.parametrize("call", ["Report('run')", "write_run_report('.')"])
def test_a_missing_extra_is_one_line_with_the_fix(module, call):
    code = f"""
import sys
sys.modules[{module!r}] = None
import kerasbert.reports
from kerasbert.errors import BadInputError
try:
    kerasbert.reports.{call}
except BadInputError as error:
    print(error)
"""
    done = run_python(code)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert "A report needs jinja2 and matplotlib." in line
    assert module in line
    assert 'pip install "kerasbert[report]"' in line
