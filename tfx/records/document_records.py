"""Documents as tf.Example records: the form in which text enters the pretraining pipeline.

Features: `text` (one sentence per line), `sentences` and `characters` (counts), `unreadable` (number of characters that
replace invalid UTF-8) and `script` (the script of most letters, e.g. "LATIN"). All except the text go into the
statistics and the schema, so that a corpus in another script, or without sentence breaks, is an anomaly.
"""

import dataclasses
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import tensorflow as tf

from kerasbert.data import ReadReport
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

SPLITS = ("train", "eval")
# The features in the statistics. TensorFlow Data Validation would count every distinct text.
STATISTICS_FEATURES = ["sentences", "characters", "unreadable", "script"]

_SCRIPT_SAMPLE = 200  # The number of letters that decide on the script.
_COUNTS_FOLDER = "counts"


@dataclasses.dataclass
class SplitCounts:
    """The amount of text in a split."""

    documents: int = 0
    sentences: int = 0
    characters: int = 0

    def add(self, document: Sequence[str]) -> None:
        """Counts one document."""
        self.documents += 1
        self.sentences += len(document)
        self.characters += sum(map(len, document))


def document_example(document: Sequence[str]) -> tf.train.Example:
    """Returns a document as a tf.Example."""
    text = "\n".join(document)
    numbers = {
        "sentences": len(document),
        "characters": sum(map(len, document)),
        "unreadable": text.count("\ufffd"),
    }
    texts = {"text": text, "script": script_of(text)}
    feature = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])) for name, value in numbers.items()}
    feature |= {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode("utf-8", "replace")]))
        for name, value in texts.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def script_of(text: str) -> str:
    """Returns the script of most of the first letters, by their Unicode names, or "NONE" if there are no letters.

    Example:
        >>> script_of("Привет, world"), script_of("42"), script_of("漢字")
        ('CYRILLIC', 'NONE', 'CJK')
    """
    counts: Counter[str] = Counter()
    for character in text:
        if character.isalpha():
            counts[unicodedata.name(character, "UNNAMED").partition(" ")[0]] += 1
            if counts.total() == _SCRIPT_SAMPLE:
                break
    # Ties are broken by name, so the order of the letters does not matter.
    return min(counts, key=lambda script: (-counts[script], script)) if counts else "NONE"


def split_folder(uri: str, split: str) -> str:
    """Returns the folder of a split, in TFX's layout."""
    return os.path.join(uri, f"Split-{split}")


def document_files(uri: str, split: str) -> list[str]:
    """Returns the record files of a split, in order."""
    return sorted(tf.io.gfile.glob(os.path.join(split_folder(uri, split), "documents-*.gz")))


def read_document_texts(path: str) -> Iterator[bytes]:
    """Yields the texts of one file."""
    for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator():
        yield tf.train.Example.FromString(record).features.feature["text"].bytes_list.value[0]


def write_counts(uri: str, name: str, counts: dict[str, SplitCounts], report: ReadReport) -> None:
    """Writes the counts of one worker to a separate file."""
    values = {split: dataclasses.asdict(counted) for split, counted in counts.items()}
    _write_text(
        os.path.join(uri, _COUNTS_FOLDER, f"{name}.json"),
        json.dumps({"splits": values, "report": dataclasses.asdict(report)}),
    )


def read_counts(uri: str) -> tuple[dict[str, SplitCounts], ReadReport]:
    """Returns the sums of all workers' counts."""
    sums = {split: Counter[str]() for split in SPLITS}
    report = ReadReport()
    # The name of a file that a killed worker left incomplete begins with a dot.
    for path in tf.io.gfile.glob(os.path.join(uri, _COUNTS_FOLDER, "documents-*.json")):
        with tf.io.gfile.GFile(path) as file:
            noted = json.loads(file.read())
        report.add(ReadReport(**noted["report"]))
        for split, values in noted["splits"].items():
            sums[split].update(values)
    return {split: SplitCounts(**values) for split, values in sums.items()}, report


def check_counts(counts: dict[str, SplitCounts], texts: str) -> None:
    """Checks that both splits have documents that next-sentence prediction can pair.

    Raises:
        BadInputError: If they do not.
    """
    total = sum(counted.documents for counted in counts.values())
    sentences = sum(counted.sentences for counted in counts.values())
    received = f"Received: '{texts}' with {total} documents and {sentences} sentences."
    if total == 0:
        raise BadInputError(
            f"Texts must contain at least one line that is not blank. {received} "
            "Write one sentence per line, with a blank line between documents."
        )
    if total == 1:
        raise BadInputError(
            "Next-sentence prediction needs at least two documents, to draw random second segments from another one. "
            f"{received} Put a blank line between documents, or add more text."
        )
    if sentences == total:
        raise BadInputError(
            f"Next-sentence prediction needs documents of two or more sentences. {received} "
            "Write one sentence per line, and a blank line only between documents."
        )
    for split, counted in counts.items():
        if counted.documents < 2:
            raise BadInputError(
                f"Training and held-out text must each have at least two documents. {received} {counted.documents} of "
                f"them are in '{split}'. Add text, or change `held_out_share`."
            )


def _write_text(path: str, text: str) -> None:
    if "://" in path:
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
    else:
        with write_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")
