"""Runs all steps of a compiled pipeline inside the image: steps_in_image.py {vertex|kubeflow} FILE

The same code runs the steps as in the tests outside the image: `tests/orchestration`, which is mounted next to this
file. The last line that is printed is a JSON list of the tasks that ran.
"""

import json
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "orchestration"))

# The folder of the container that stands for the bucket. Vertex AI mounts buckets under /gcs.
BUCKET = ("gs://bucket", "/gcs/bucket")


def run_on_vertex(path: str) -> list[str]:
    """Runs a file for Vertex AI, with the artifacts in the mounted bucket."""
    from compiled_steps import execute

    job = json.loads(Path(path).read_text().replace(*BUCKET))
    return sorted(execute(job, f"{BUCKET[1]}/run"))


def run_on_kubeflow(path: str) -> list[str]:
    """Runs a file for Kubeflow Pipelines in the emulation of its newest backend."""
    from kubeflow_backend import Backend, ObjectStore

    spec = yaml.safe_load(Path(path).read_text())
    backend = Backend("2.17", ObjectStore(Path(path).parent / "objects"), spec["defaultPipelineRoot"])
    return sorted(backend.run(spec))


if __name__ == "__main__":
    print(json.dumps({"vertex": run_on_vertex, "kubeflow": run_on_kubeflow}[sys.argv[1]](sys.argv[2])))
