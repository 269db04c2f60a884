"""The demo's corpus: Python's own documentation, which is part of every Python installation.

It consists of `pydoc_data.topics` and the docstrings of the standard library, which are read from the source files of
the running interpreter without importing them. It is written as text for pretraining and as a labelled set (docstring
-> package). Held-out text is chosen by a hash of its content, and no sentence of it is in the pretraining text.
"""

import ast
import csv
import itertools
import sysconfig
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kerasbert.data.pretraining.docstring_sentences import sentences
from kerasbert.data.stable_split import stable_split
from kerasbert.data.text_files import PathLike
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

FRACTIONS = {"train": 0.76, "validation": 0.06, "test": 0.18}
NUM_LABELS = 16
# A shorter one, e.g. "Mixin.", does not show which package it comes from.
_MIN_LABELLED_WORDS = 3
_MIN_DOCUMENT_SENTENCES = 2
_OTHER_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


class Docstring(NamedTuple):
    """A docstring without its common indentation, and the dotted name of its module."""

    module: str
    text: str

    @property
    def package(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class CorpusReport:
    """The result of `write_python_documentation`.

    Attributes:
        texts: part ("train", "held_out") -> text file with one sentence per line and a blank line between documents.
        labelled: part ("train", "validation", "test") -> CSV file with the columns `text` and `label`.
        documents: part of the texts -> number of documents.
        sentences: part of the texts -> number of sentences.
        bytes: part of the texts -> size of the file.
        labels: part of the labelled set -> label -> number of rows.
        docstrings: number of docstrings found, before duplicates are removed.
        duplicates_removed: number of docstrings that equal another one except for white space.
        ambiguous_removed: number of docstrings that occur in several packages, and so do not have a single label.
        repeated_sentences_removed: number of sentences of training documents that are also in held-out text.

    Example:
        >>> report = CorpusReport({}, {}, {"train": 2}, {}, {}, {}, 3, 1, 0, 0)
        >>> report.docstrings - report.duplicates_removed
        2
    """

    texts: dict[str, Path]
    labelled: dict[str, Path]
    documents: dict[str, int]
    sentences: dict[str, int]
    bytes: dict[str, int]
    labels: dict[str, dict[str, int]]
    docstrings: int
    duplicates_removed: int
    ambiguous_removed: int
    repeated_sentences_removed: int


def write_python_documentation(folder: PathLike) -> CorpusReport:
    """Writes `train.txt`, `held_out.txt`, and `labelled_train.csv`, `labelled_validation.csv`, `labelled_test.csv`.

    A document is one page of the reference, or the docstrings of one module in the order of its source. The labels are
    the 16 packages with the most docstrings. The same version of Python gives the same bytes.

    Args:
        folder: the folder to write to; created if needed. Each file appears when it is complete.

    Raises:
        BadInputError: the source files of the standard library are not installed.
        OSError: the folder cannot be written.

    Example:
        >>> report = write_python_documentation("corpus")  # doctest: +SKIP
        >>> sorted(report.texts)  # doctest: +SKIP
        ['held_out', 'train']
    """
    folder = Path(folder)
    found = list(standard_library_docstrings())
    packages = defaultdict(set)
    for docstring in found:
        packages[_words(docstring.text)].add(docstring.package)
    # The first of several copies is kept.
    unique = list({_words(docstring.text): docstring for docstring in reversed(found)}.values())[::-1]
    ambiguous = {text for text, names in packages.items() if len(names) > 1}
    documents, repeated = _documents(unique)
    rows = _labelled_rows(docstring for docstring in unique if _words(docstring.text) not in ambiguous)
    texts = {part: folder / f"{part}.txt" for part in documents}
    labelled = {part: folder / f"labelled_{part}.csv" for part in rows}
    for part, path in texts.items():
        _write_text(path, documents[part])
    for part, path in labelled.items():
        _write_csv(path, rows[part])
    return CorpusReport(
        texts=texts,
        labelled=labelled,
        documents={part: len(chosen) for part, chosen in documents.items()},
        sentences={part: sum(map(len, chosen)) for part, chosen in documents.items()},
        bytes={part: path.stat().st_size for part, path in texts.items()},
        labels={part: dict(sorted(Counter(label for _, label in chosen).items())) for part, chosen in rows.items()},
        docstrings=len(found),
        duplicates_removed=len(found) - len(unique),
        ambiguous_removed=len(ambiguous),
        repeated_sentences_removed=repeated,
    )


def standard_library_docstrings() -> Iterator[Docstring]:
    """Reads the docstrings of the standard library's modules, classes and functions from its source files.

    Tests, private modules (`_name`) and installed packages are left out.

    Raises:
        BadInputError: the source files are not installed.
    """
    root = Path(sysconfig.get_path("stdlib"))
    is_empty = True
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        name = path.relative_to(root).with_suffix("").parts
        if _OTHER_FOLDERS.intersection(name) or not all(_is_public(part) for part in name):
            continue
        is_empty = False
        module = ".".join(name).removesuffix(".__init__")
        yield from (Docstring(module, text) for text in _docstrings_of(path))
    if is_empty:
        raise BadInputError(
            f"The standard library's source files are needed. Received: '{root}', which contains none. "
            "Use a Python that is installed with its library unpacked."
        )


def _is_public(name: str) -> bool:
    return name.isidentifier() and (not name.startswith("_") or name in ("__init__", "__main__"))


def _docstrings_of(path: Path) -> list[str]:
    with warnings.catch_warnings():
        # The compiler warns about invalid escapes in old modules, which are irrelevant to the user.
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            return []  # This file is a template, not a module.
    return [text for node in _documented(tree) if (text := (ast.get_docstring(node) or "").strip())]


def _documented(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yields the module and its classes and functions, in the order of the source. Expressions contain none of them."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler):
            yield from _documented(child)


def _words(text: str) -> str:
    """Returns the text with white space replaced by single spaces, to compare copies."""
    return " ".join(text.split())


def _is_training(text: str) -> bool:
    return stable_split(_words(text), FRACTIONS) == "train"


def _documents(docstrings: Sequence[Docstring]) -> tuple[dict[str, list[list[str]]], int]:
    """The documents for training and those held out, and how many training sentences were in both and are removed."""
    # Imported late, because a minimal installation of Python may not have it.
    from pydoc_data import topics

    modules: dict[str, list[str]] = {}
    for docstring in docstrings:
        modules.setdefault(docstring.module, []).append(docstring.text)
    sources = [[text] for _, text in sorted(topics.topics.items())] + list(modules.values())
    training = [_all_sentences(text for text in texts if _is_training(text)) for texts in sources]
    held_out = [_all_sentences(text for text in texts if not _is_training(text)) for texts in sources]
    unseen = {_words(text) for texts in sources for text in texts if not _is_training(text)}
    repeated = _sentences_with(unseen, training) | {sentence for document in held_out for sentence in document}
    kept = [[sentence for sentence in document if sentence not in repeated] for document in training]
    documents = {"train": kept, "held_out": held_out}
    long_enough = {
        part: [document for document in chosen if len(document) >= _MIN_DOCUMENT_SENTENCES]
        for part, chosen in documents.items()
    }
    return long_enough, sum(map(len, training)) - sum(map(len, kept))


def _all_sentences(texts: Iterable[str]) -> list[str]:
    return [sentence for text in texts for sentence in sentences(text)]


def _sentences_with(texts: Iterable[str], documents: Sequence[Sequence[str]]) -> set[str]:
    """Returns the sentences that contain one of `texts` completely."""
    everything = "\n".join(itertools.chain(*documents))
    # Searching for each text in all sentences at once leaves very few texts to search for in single sentences.
    held = [text for text in texts if len(text.split()) >= _MIN_LABELLED_WORDS and text in everything]
    return {sentence for sentence in itertools.chain(*documents) if any(text in sentence for text in held)}


def _labelled_rows(docstrings: Iterable[Docstring]) -> dict[str, list[tuple[str, str]]]:
    """Returns (text, label) of the largest packages, for each part."""
    rows = [
        (_words(docstring.text), docstring.package)
        for docstring in docstrings
        if len(docstring.text.split()) >= _MIN_LABELLED_WORDS
    ]
    # Equal counts are ordered by name, so the choice does not depend on the order of reading.
    largest = sorted(Counter(label for _, label in rows).items(), key=lambda item: (-item[1], item[0]))[:NUM_LABELS]
    labels = {label for label, _ in largest}
    parts: dict[str, list[tuple[str, str]]] = {part: [] for part in FRACTIONS}
    for text, label in rows:
        if label in labels:
            parts[stable_split(text, FRACTIONS)].append((text, label))
    return parts


def _write_text(path: Path, documents: Sequence[Sequence[str]]) -> None:
    with write_aside(path) as aside:
        aside.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(rows)
