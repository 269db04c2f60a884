"""Measures the Beam instance maker as the corpus grows: megabytes per second of one core, and peak memory.

    python -m benchmarks.beam_pretraining_data [--megabytes 4] [--factors 1,4,16]

The text is Python's own documentation, repeated, with a number in each document so that all are different. Each size
runs in its own process. Prints one JSON object, to compare with an earlier one.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kerasbert.data import read_documents, write_python_documentation
from kerasbert.preprocessing import TextToInputs, WordPieceTokenizer, learn_vocabulary

LENGTHS = {"short": 128, "long": 512}


def main() -> None:
    """Runs each size, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=4, help="Size of the smallest corpus.")
    parser.add_argument("--factors", default="1,4,16", help="Multiples of that size.")
    parser.add_argument("--dupe-factor", type=int, default=5)
    parser.add_argument(
        "--runner-argument", action="append", default=[], help="Argument for Beam, e.g. --direct_num_workers=2."
    )
    parser.add_argument("--one", type=Path, help="Only measure this folder with texts and preprocessing.")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    metrics = {}
    with tempfile.TemporaryDirectory() as folder:
        source = write_python_documentation(folder).texts["train"]
        for factor in map(float, arguments.factors.split(",")):
            work = Path(folder, f"{factor:g}x")
            write_corpus(source, work / "texts", arguments.megabytes * factor * 1e6)
            write_preprocessing(source, work / "preprocessing")
            metrics[f"{factor:g}x"] = measured_apart(work, arguments)
    print(json.dumps(metrics, indent=2))


def write_corpus(source: Path, texts: Path, size: float) -> None:
    """Writes text of a given size in files of 2 MB."""
    documents = list(read_documents(source))
    texts.mkdir(parents=True)
    written = 0
    copies = (
        f"Copy {copy} of document {number}.\n" + "\n".join(document) + "\n\n"
        for copy in itertools.count()
        for number, document in enumerate(documents)
    )
    for file in itertools.count():
        part = ""
        while len(part) < 2e6 and written < size:
            part += next(copies)
            written = file * 2e6 + len(part)
        if part:
            (texts / f"part-{file:05d}.txt").write_text(part, encoding="utf-8")
        if written >= size:
            break


def write_preprocessing(source: Path, folder: Path) -> None:
    """Writes the preprocessing with a vocabulary of the text."""
    vocabulary = learn_vocabulary(itertools.chain.from_iterable(read_documents(source)), 8000)
    TextToInputs(WordPieceTokenizer(vocabulary)).save(folder)


def measured_apart(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Returns the metrics of one size, from a process that does nothing else."""
    command = [sys.executable, "-m", "benchmarks.beam_pretraining_data", "--one", str(folder)]
    command += ["--dupe-factor", str(arguments.dupe_factor)]
    command += [f"--runner-argument={argument}" for argument in arguments.runner_argument]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    metrics: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return metrics


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Measures reading text into examples, and making instances from them."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from kerasbert_tfx.records.component_metrics import read_metrics
    from kerasbert_tfx.records.document_making import write_document_examples
    from kerasbert_tfx.records.document_records import read_counts
    from kerasbert_tfx.records.instance_making import make_instances

    def pipeline() -> beam.Pipeline:
        given = arguments.runner_argument or ["--direct_running_mode=in_memory"]
        return beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", *given]))

    megabytes = sum(path.stat().st_size for path in (folder / "texts").iterdir()) / 1e6
    documents, instances = str(folder / "documents"), str(folder / "instances")
    metrics = {"megabytes": megabytes, "memory_before_megabytes": peak_megabytes()}
    start, cpu = time.perf_counter(), cpu_seconds()
    write_document_examples(pipeline(), documents, str(folder / "texts"), 0.05)
    metrics |= _rates("read", megabytes, time.perf_counter() - start, cpu_seconds() - cpu)
    counts, _ = read_counts(documents)
    options = {"lengths": LENGTHS, "dupe_factor": arguments.dupe_factor, "bucket_characters": 4_000_000}
    start, cpu = time.perf_counter(), cpu_seconds()
    make_instances(pipeline(), documents, counts, str(folder / "preprocessing"), instances, options)
    metrics |= _rates("make", megabytes, time.perf_counter() - start, cpu_seconds() - cpu)
    made = read_metrics(instances)
    pairs = made["train_short_pairs"] + made["train_long_pairs"]
    metrics |= {"pairs": pairs, "pairs_per_core_second": pairs / (cpu_seconds() - cpu)}
    metrics["peak_memory_megabytes"] = peak_megabytes()
    metrics["instances_megabytes"] = sum(path.stat().st_size for path in Path(instances).rglob("*.tfrecord")) / 1e6
    return metrics


def _rates(name: str, megabytes: float, seconds: float, cpu: float) -> dict[str, float]:
    return {
        f"{name}_seconds": seconds,
        f"{name}_core_seconds": cpu,
        f"{name}_megabytes_per_core_second": megabytes / cpu,
    }


def cpu_seconds() -> float:
    """Returns the processor time of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_megabytes() -> float:
    """Returns the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
