"""The data steps give the same on Beam's portable runner, whose workers are other processes that know nothing of ours.

The workers import kerasbert from a copy, start in an empty folder with a clean environment, and share nothing with the
tests but files, as on Flink and Spark.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from tfx.components.statistics_gen.executor import Executor as StatisticsExecutor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types.standard_artifacts import Examples, ExampleStatistics

import kerasbert
import kerasbert_tfx.records
from kerasbert.errors import BadInputError
from kerasbert_pipelines.local.portable_beam import PortableBeam, portable_beam
from kerasbert_tfx.components.labelled_example_gen import LabelledExampleGen, LabelledExampleGenExecutor
from kerasbert_tfx.records.document_making import write_document_examples
from kerasbert_tfx.records.document_records import STATISTICS_FEATURES, document_files, read_counts, split_folder
from kerasbert_tfx.records.input_files import folder_and_pattern
from kerasbert_tfx.records.instance_making import make_instances
from kerasbert_tfx.records.labelled_reading import Columns
from kerasbert_tfx.records.record_files import record_writer, unfinished_folder

from .conftest import documents, write_documents

LOCAL = ("--runner=DirectRunner",)
Hashes = Callable[[Path], dict[str, str]]


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """TFX's executors read the options of the process, where `-v` means another thing than to pytest."""
    monkeypatch.setattr(sys, "argv", ["pytest"])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with copies of the two packages, as in the workers' container."""
    folder = tmp_path_factory.mktemp("image")
    # Where packages are installed as links, a namespace package has no folder of its own.
    sources = {"kerasbert": Path(kerasbert.__path__[0]), "kerasbert_tfx": Path(kerasbert_tfx.records.__path__[0], "..")}
    for name, source in sources.items():
        shutil.copytree(source.resolve(), folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def cluster(image: Path) -> Iterator[PortableBeam]:
    """A job server with two workers for each job."""
    with portable_beam(workers=2, import_from=image) as started:
        yield started


@pytest.fixture(scope="module")
def one_worker(image: Path) -> Iterator[PortableBeam]:
    """A job server with one worker for each job."""
    with portable_beam(import_from=image) as started:
        yield started


def make_documents(arguments: Sequence[str], texts: Path, folder: Path) -> Path:
    pipeline = beam.Pipeline(options=PipelineOptions(list(arguments)))
    write_document_examples(pipeline, str(folder), str(texts), 0.2, None, range_bytes=2_000)
    return folder


def make_statistics(arguments: Sequence[str], documents_folder: Path, folder: Path) -> Path:
    examples, statistics = Examples(), ExampleStatistics()
    examples.uri, examples.split_names, statistics.uri = str(documents_folder), '["train", "eval"]', str(folder)
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")
    context = StatisticsExecutor.Context(
        beam_pipeline_args=list(arguments), tmp_dir=f"{folder}-temporary", unique_id="1"
    )
    options = tfdv.StatsOptions(feature_allowlist=STATISTICS_FEATURES).to_json()
    StatisticsExecutor(context).Do(
        {"examples": [examples]}, {"statistics": [statistics]}, {"stats_options_json": options}
    )
    return folder


def rounded(statistics: Path) -> dict[tuple[str, ...], str]:
    """Returns split and feature -> statistics.

    Without the last digits of numbers, which depend on the order of sums. The order of features is that of the workers.
    """
    read = {}
    for path in statistics.glob("Split-*/FeatureStats.pb"):
        for dataset in tfdv.load_stats_binary(str(path)).datasets:
            for feature in dataset.features:
                name = (path.parent.name.removeprefix("Split-"), str(dataset.num_examples), *feature.path.step)
                read[name] = re.sub(r"\d+\.\d{9,}", lambda number: f"{float(number[0]):.9g}", str(feature))
    return read


def make_pairs(
    arguments: Sequence[str], documents_folder: Path, preprocessing: Path, folder: Path, **values: Any
) -> Path:
    counts, _ = read_counts(str(documents_folder))
    pipeline = beam.Pipeline(options=PipelineOptions(list(arguments)))
    settings = {"lengths": {"short": 24, "long": 48}, "dupe_factor": 2, "bucket_characters": 2_000, **values}
    make_instances(pipeline, str(documents_folder), counts, str(preprocessing), str(folder), settings)
    return folder


def test_documents_are_equal_in_another_process(
    one_worker: PortableBeam, tmp_path: Path, texts: Path, file_hashes: Hashes
) -> None:
    expected = file_hashes(make_documents(LOCAL, texts, tmp_path / "local"))
    assert file_hashes(make_documents(one_worker.arguments, texts, tmp_path / "portable")) == expected
    assert len([name for name in expected if name.startswith("Split-train")]) > 2


@pytest.mark.slow
def test_all_steps_are_equal_in_two_other_processes(
    cluster: PortableBeam, tmp_path: Path, texts: Path, preprocessing: Path, file_hashes: Hashes
) -> None:
    source = make_documents(LOCAL, texts, tmp_path / "documents")
    assert file_hashes(make_documents(cluster.arguments, texts, tmp_path / "portable_documents")) == file_hashes(source)
    expected = rounded(make_statistics(LOCAL, source, tmp_path / "statistics"))
    assert rounded(make_statistics(cluster.arguments, source, tmp_path / "portable_statistics")) == expected
    assert {split for split, *_ in expected} == {"train", "eval"}
    values = {"masked": True, "predictions": {"short": 4, "long": 7}}
    pairs = file_hashes(make_pairs(LOCAL, source, preprocessing, tmp_path / "pairs", **values))
    portable = make_pairs(cluster.arguments, source, preprocessing, tmp_path / "portable_pairs", **values)
    assert file_hashes(portable) == pairs
    assert "metrics.json" in pairs


@pytest.mark.slow
def test_labelled_rows_are_equal_in_other_processes(cluster: PortableBeam, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    rows = [f"the {animal} {number},{animal}" for number in range(40) for animal in ("dog", "cat")]
    table.write_text("\n".join(["text,label", *rows]) + "\n")

    def read(arguments: Sequence[str], name: str) -> dict[str, list[bytes]]:
        splits = {"train": 0.6, "eval": 0.4}
        component = LabelledExampleGen(*folder_and_pattern(str(table)), Columns(), splits)
        examples = Examples()
        examples.uri = str(tmp_path / name)
        context = LabelledExampleGenExecutor.Context(
            beam_pipeline_args=list(arguments), tmp_dir=str(tmp_path / f"{name}_temporary"), unique_id="1"
        )
        LabelledExampleGenExecutor(context).Do({}, {"examples": [examples]}, dict(component.exec_properties))
        files = {split: sorted(map(str, (tmp_path / name / f"Split-{split}").iterdir())) for split in splits}
        return {split: sorted(_examples(found)) for split, found in files.items()}

    expected = read(LOCAL, "local")
    assert read(cluster.arguments, "portable") == expected
    assert len(expected["train"]) + len(expected["eval"]) == len(rows)


def _examples(files: list[str]) -> Iterator[bytes]:
    """Yields the examples with their features in order, which TFX writes in any."""
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        yield tf.train.Example.FromString(record).SerializeToString(deterministic=True)


@pytest.mark.slow
def test_the_error_of_a_worker_in_another_process_is_one_line(one_worker: PortableBeam, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_bytes(b"one\ntwo\n\nthree\n\0\xff")
    with pytest.raises(BadInputError, match=r"^A text file must be in UTF-8") as error:
        make_documents(one_worker.arguments, tmp_path / "texts.txt", tmp_path / "documents")
    assert len(str(error.value).splitlines()) == 1
    assert not list((tmp_path / "documents").glob("unfinished-*"))


@pytest.mark.slow
def test_a_killed_worker_fails_the_job_and_a_second_run_gives_equal_files(
    one_worker: PortableBeam, tmp_path: Path, preprocessing: Path, file_hashes: Hashes
) -> None:
    """Beam's own job server tries nothing twice. Flink, Spark and Dataflow do, in the same folder."""
    texts = write_documents(tmp_path / "texts.txt", documents(4_000, seed=5))
    source = make_documents(LOCAL, texts, tmp_path / "documents")
    values = {"bucket_characters": 20_000, "dupe_factor": 5}
    expected = file_hashes(make_pairs(LOCAL, source, preprocessing, tmp_path / "local", **values))
    output = tmp_path / "portable"
    killer = threading.Thread(target=_kill_workers, args=(one_worker.pool, output / "Split-train"), daemon=True)
    killer.start()
    with pytest.raises(RuntimeError):
        make_pairs(one_worker.arguments, source, preprocessing, output, **values)
    killer.join()
    assert 0 < len(list(output.rglob("pairs-*"))) < len(expected)
    assert file_hashes(make_pairs(one_worker.arguments, source, preprocessing, output, **values)) == expected


def _kill_workers(pool: int, split: Path) -> None:
    """Kills all workers as soon as one of them has written a file."""
    end = time.monotonic() + 900
    while not list(split.rglob("pairs-*")) and time.monotonic() < end:
        time.sleep(0.02)
    listed = subprocess.run(["pgrep", "-P", str(pool)], stdout=subprocess.PIPE, text=True, check=False)
    for process in listed.stdout.split():
        os.kill(int(process), signal.SIGKILL)


def test_bundles_that_run_twice_give_the_same_files(
    tmp_path: Path, texts: Path, preprocessing: Path, file_hashes: Hashes
) -> None:
    """An engine runs a bundle again if a worker was lost, after some of its files were written."""
    once = make_documents(LOCAL, texts, tmp_path / "once")
    twice = tmp_path / "twice"
    pipeline = beam.Pipeline(runner=FnApiRunner(bundle_repeat=1))
    write_document_examples(pipeline, str(twice), str(texts), 0.2, None, range_bytes=2_000)
    assert file_hashes(twice) == file_hashes(once)
    counts, _ = read_counts(str(once))
    expected = make_pairs(LOCAL, once, preprocessing, tmp_path / "pairs")
    settings = {"lengths": {"short": 24, "long": 48}, "dupe_factor": 2, "bucket_characters": 2_000}
    pipeline = beam.Pipeline(runner=FnApiRunner(bundle_repeat=1))
    make_instances(pipeline, str(once), counts, str(preprocessing), str(tmp_path / "pairs_twice"), settings)
    assert file_hashes(tmp_path / "pairs_twice") == file_hashes(expected)


def test_what_a_killed_worker_leaves_is_not_read(tmp_path: Path, texts: Path) -> None:
    """TFX reads every file in the folder of a split, even hidden ones."""
    uri = str(make_documents(LOCAL, texts, tmp_path / "documents"))
    before = [sorted(map(str, Path(split_folder(uri, "train")).iterdir())), document_files(uri, "train")]
    counts, _ = read_counts(uri)
    with unfinished_folder(uri) as unfinished:
        killed = record_writer(f"{split_folder(uri, 'train')}/documents-00099-of-00100.gz", unfinished, compress=True)
        killed.__enter__().write(b"half of")  # and never closed
        (Path(uri) / "counts" / ".documents-00099-of-00100.0123.json").write_text("{")
        assert [sorted(map(str, Path(split_folder(uri, "train")).iterdir())), document_files(uri, "train")] == before
        assert list(Path(unfinished).iterdir())
        assert read_counts(uri)[0] == counts
    assert not Path(unfinished).exists()
