"""Beam makes the same instances for any number of workers, by the rules of `kerasbert.data`, in bounded memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from kerasbert.data import read_pairs
from kerasbert.data.pretraining.document_split import DocumentSplit, document_statistics
from kerasbert.data.pretraining.masked_examples import masked_dataset
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs
from kerasbert_pipelines.local.peak_memory import PeakMemory
from kerasbert_tfx.records.component_metrics import read_metrics
from kerasbert_tfx.records.document_making import write_document_examples
from kerasbert_tfx.records.document_records import SplitCounts, document_files, read_counts, read_document_texts
from kerasbert_tfx.records.instance_making import InstanceSettings, make_instances

from .conftest import documents, write_documents

LENGTHS = {"short": 24, "long": 48}


def make(
    texts: Path | str,
    folder: Any,
    preprocessing: Path,
    arguments: tuple[str, ...] = (),
    range_bytes: int = 10_000,
    **values: Any,
) -> Any:
    """Reads the texts and makes instances, in two Beam pipelines."""

    def pipeline() -> beam.Pipeline:
        return beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", *arguments]))

    documents_uri, output = f"{folder}/documents", f"{folder}/instances"
    write_document_examples(pipeline(), documents_uri, str(texts), 0.2, None, range_bytes)
    counts, _ = read_counts(documents_uri)
    make_instances(
        pipeline(),
        documents_uri,
        counts,
        str(preprocessing),
        output,
        {"lengths": LENGTHS, "dupe_factor": 2, **values},
    )
    return output if isinstance(folder, str) else Path(output)


def test_instances_do_not_depend_on_how_documents_are_split_into_files(
    tmp_path: Path, texts: Path, preprocessing: Path, file_hashes: Callable[[Path], dict[str, str]]
) -> None:
    small = {"bucket_characters": 800}
    reference = make(texts, tmp_path / "reference", preprocessing, **small)
    names = {path.name for path in reference.glob("Split-train/short/*")}
    assert len(names) > 0
    # The same documents in another order, in one file, and read in other ranges.
    joined = write_documents(tmp_path / "joined.txt", documents(20, seed=2) + documents(40, seed=1))
    rearranged = make(joined, tmp_path / "rearranged", preprocessing, range_bytes=777, **small)
    assert file_hashes(rearranged) == file_hashes(reference)
    other_seed = make(texts, tmp_path / "seed", preprocessing, seed=5, **small)
    assert file_hashes(other_seed) != file_hashes(reference)


@pytest.mark.slow
def test_instances_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, texts: Path, preprocessing: Path, file_hashes: Callable[[Path], dict[str, str]]
) -> None:
    reference = make(texts, tmp_path / "reference", preprocessing)
    arguments = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert file_hashes(make(texts, tmp_path / "processes", preprocessing, arguments)) == file_hashes(reference)


@pytest.mark.parametrize("count", [2, 3, 5, 60])
def test_the_same_documents_are_held_out_as_by_the_command(tmp_path: Path, count: int) -> None:
    texts = documents(count, seed=4)
    file, uri = write_documents(tmp_path / "text.txt", texts), str(tmp_path / "examples")
    options = PipelineOptions(["--runner=DirectRunner"])
    write_document_examples(beam.Pipeline(options=options), uri, str(file), 0.1, None, range_bytes=200)
    split = DocumentSplit.of(document_statistics(texts), 0.1)
    for name, part in (("train", "train"), ("eval", "held_out")):
        written = [text.decode() for path in document_files(uri, name) for text in read_document_texts(path)]
        expected = ["\n".join(document) for document in texts if part in split.parts_of(document)]
        assert sorted(written) == sorted(expected)
        assert len(written) >= 2
    _, report = read_counts(uri)
    assert ("; ".join(report.notes) or None) == split.note


def test_documents_are_distributed_over_buckets_and_none_is_lost(tmp_path: Path, preprocessing: Path) -> None:
    text = write_documents(tmp_path / "text.txt", documents(200, seed=3))
    # Sequences are long enough that no pair loses tokens.
    output = make(text, tmp_path, preprocessing, bucket_characters=5_000, dupe_factor=1, lengths={"short": 128})
    counts, _ = read_counts(str(tmp_path / "documents"))
    files = sorted(output.glob("Split-train/short/*.tfrecord"))
    assert len(files) == counts["train"].documents // 32 > 1
    tokenizer = TextToInputs.load(preprocessing).tokenizer
    split = DocumentSplit.of(document_statistics(documents(200, seed=3)), 0.2)
    held_out = [split.parts_of(document) == ("held_out",) for document in documents(200, seed=3)]
    assert counts["eval"].documents == sum(held_out)
    # Each training document begins a chunk in exactly one file.
    starts = [
        tuple(tokenizer.tokenize([document[0]]).to_list()[0])
        for document, is_out in zip(documents(200, seed=3), held_out, strict=True)
        if not is_out
    ]
    firsts = [tuple(pair.first_ids[: len(starts[0])].tolist()) for file in files for pair in read_pairs([file])]
    for start in set(starts):
        assert firsts.count(start) >= starts.count(start)


def test_pairs_follow_the_rules(tmp_path: Path, texts: Path, preprocessing: Path) -> None:
    output = make(texts, tmp_path, preprocessing, dupe_factor=4)
    metrics = read_metrics(str(output))
    for phase, length in LENGTHS.items():
        pairs = list(read_pairs(output / "Split-train" / phase))
        assert max(len(pair.first_ids) + len(pair.second_ids) for pair in pairs) <= length - 3
        assert min(min(len(pair.first_ids), len(pair.second_ids)) for pair in pairs) > 0
        share = sum(pair.is_random_next for pair in pairs) / len(pairs)
        assert 0.35 < share < 0.75
        assert metrics[f"train_{phase}_pairs"] == len(pairs)
    assert metrics["eval_short_pairs"] < metrics["train_short_pairs"] / 4
    assert not list(output.glob("unfinished-*"))


def test_static_masks_differ_between_passes(tmp_path: Path, texts: Path, preprocessing: Path) -> None:
    predictions = {"short": 4, "long": 7}
    output = make(texts, tmp_path, preprocessing, masked=True, predictions=predictions)
    batches = masked_dataset(output / "Split-train" / "short", 24, 4, 16, seed=1, epochs=1)
    vocabulary = TextToInputs.load(preprocessing).vocabulary
    masks = total = 0
    for x, y, weights in batches.as_numpy_iterator():
        assert x["token_ids"].shape == x["padding_mask"].shape
        assert x["token_ids"].shape[1] % 8 == 0
        real = weights["masked_lm"] > 0
        assert real.sum(axis=1).min() >= 1
        hidden = np.take_along_axis(x["token_ids"], x["mask_positions"], axis=1)
        masks += (hidden[real] == vocabulary.mask_id).sum()
        total += real.sum()
        assert not set(y["masked_lm"][real].tolist()) & set(vocabulary.special_ids)
    assert 0.7 < masks / total < 0.9
    # Held-out pairs are always masked the same way when they are read.
    assert len(list(read_pairs(output / "Split-eval" / "short"))) > 0


def test_the_number_of_buckets_grows_with_the_text() -> None:
    settings = InstanceSettings(lengths=LENGTHS, bucket_characters=1000)
    assert settings.num_buckets(SplitCounts(documents=10, sentences=50, characters=5_000_000)) == 1
    assert settings.num_buckets(SplitCounts(documents=6400, sentences=50_000, characters=50_000)) == 50
    assert settings.num_buckets(SplitCounts(documents=6400, sentences=50_000, characters=5_000_000)) == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one line\nanother line\n", "at least two documents"),
        ("one line\n\nanother line\n\nand one more\n", "documents of two or more sentences"),
        ("\n \n\t\n", "at least one line that is not blank"),
    ],
)
def test_text_that_gives_no_pairs_is_rejected(tmp_path: Path, preprocessing: Path, text: str, message: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        make(path, tmp_path, preprocessing)


@pytest.mark.slow
def test_a_line_of_50_megabytes_takes_bounded_memory(tmp_path: Path, texts: Path, preprocessing: Path) -> None:
    with (texts / "long.txt").open("w") as file:
        file.writelines("the dog and the cat. " * 100 for _ in range(25_000))
    assert (texts / "long.txt").stat().st_size > 50_000_000
    with PeakMemory() as memory:
        output = make(texts, tmp_path, preprocessing, range_bytes=1_000_000, dupe_factor=1)
    counts, report = read_counts(str(tmp_path / "documents"))
    assert report.cut_lines == 1
    assert read_metrics(str(tmp_path / "documents"))["note"] == "1 overlong lines were cut"
    assert counts["train"].characters + counts["eval"].characters > 50_000_000
    assert read_metrics(str(output))["train_short_pairs"] > 700
    assert memory.megabytes < 4000


def test_files_in_a_bucket_equal_those_on_disk(
    tmp_path: Path, texts: Path, preprocessing: Path, file_hashes: Callable[[Path], dict[str, str]]
) -> None:
    """Uses TensorFlow's in-memory file system as a bucket: like a bucket, Python itself cannot open its addresses."""
    cloud = f"ram://{tmp_path.name}"
    for path in texts.iterdir():
        tf.io.gfile.makedirs(f"{cloud}/texts")
        tf.io.gfile.copy(str(path), f"{cloud}/texts/{path.name}")
    here = make(texts, tmp_path / "here", preprocessing)
    there = make(f"{cloud}/texts", cloud, preprocessing, range_bytes=500)
    for folder, _, names in tf.io.gfile.walk(there):
        for name in names:
            local = tmp_path / "copied" / folder.removeprefix(f"{there}").strip("/") / name
            local.parent.mkdir(parents=True, exist_ok=True)
            tf.io.gfile.copy(f"{folder.rstrip('/')}/{name}", str(local))
    assert file_hashes(tmp_path / "copied") == file_hashes(here)
