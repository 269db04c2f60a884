"""HTML reports on training runs.

A `Report` takes plain data (numbers, lists, dicts, arrays) and writes one self-contained HTML file, without scripts and
external files. It needs the extra `report` (jinja2, matplotlib), which is imported when the first report is made.
"""

from kerasbert.reports.data_report import write_data_report
from kerasbert.reports.report import Report
from kerasbert.reports.run_reading import Run, read_run
from kerasbert.reports.run_report import add_run, write_run_report
from kerasbert.reports.sections.vocabulary_statistics import vocabulary_statistics

__all__ = ["Report", "Run", "add_run", "read_run", "vocabulary_statistics", "write_data_report", "write_run_report"]
