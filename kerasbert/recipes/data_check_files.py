"""Writes what a data check found into a folder: a JSON file and a page."""

import json
import os
from pathlib import Path

from kerasbert.errors import BadInputError
from kerasbert.files import link_rest, write_folder_aside
from kerasbert.recipes.data_check import DataCheck
from kerasbert.reports import write_data_report

JSON_FILE, PAGE = "data_check.json", "data_check.html"


def write_data_check(found: DataCheck, folder: str | os.PathLike[str]) -> Path:
    """Write `data_check.json` and `data_check.html`, both or none, and return the path of the page.

    Args:
        found: the result of `check_data`.
        folder: the folder to write. Other files in it are kept.

    Raises:
        BadInputError: `folder` is a file, or jinja2 or matplotlib is not installed.
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from kerasbert.data import LabelledTexts
        >>> from kerasbert.recipes import check_data
        >>> found = check_data(LabelledTexts(("a", "b"), None, ("x", "y"), ("line 2", "line 3")))
        >>> page = write_data_check(found, tempfile.mkdtemp())
        >>> sorted(file.name for file in page.parent.iterdir())
        ['data_check.html', 'data_check.json']
    """
    path = Path(folder)
    check_is_no_file(path)
    with write_folder_aside(path) as aside:
        write_data_report(found.result, aside / PAGE, problems=found.problems)
        text = json.dumps({**found.result, "problems": found.problems}, indent=2, ensure_ascii=False)
        (aside / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        if path.is_dir():
            link_rest(path, aside, is_left_out=lambda name: False)
    return path / PAGE


def check_is_no_file(path: Path) -> None:
    """Raises `BadInputError` if the folder to write is a file."""
    if path.exists() and not path.is_dir():
        raise BadInputError(f"The output must be a folder. Received: '{path}', which is a file. Choose another path.")
