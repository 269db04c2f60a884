"""TensorFlow Serving by Vertex AI's container contract, which tells a container its port and where its model is.

Vertex AI copies the artifact folder of a version to a bucket of its own, puts the copy's address into the variable
AIP_STORAGE_URI and the port into AIP_HTTP_PORT, and replaces `$(NAME)` in arguments by variables. It posts the body of
a prediction, `{"instances": [...]}`, to the predict route, and considers a container healthy if the health route
answers 200. TensorFlow Serving reads buckets itself, and takes and returns just these bodies.
"""

from typing import Any

from kerasbert_tfx.vertex.client import Vertex, message
from kerasbert_tfx.vertex.setting_forms import SERVING_TAG

REST_PORT = 8080
_GRPC_PORT = 8500
# The copy never changes. If its first listing fails, the next one comes before Vertex AI gives up the deployment.
_SECONDS_BETWEEN_LISTINGS = 600
# Vertex AI waits for an answer for up to 60 s.
_MILLISECONDS_TO_ANSWER = 60_000
# Without a startup probe, Vertex AI restarts a container that does not listen after about 40 s, and TensorFlow Serving
# listens only when the model is loaded and warm.
_PROBES_AT_START = 60
_SECONDS_BETWEEN_PROBES = 10
BATCHING_FILE = "batching.config"
# The settings of serving/deploy/config/batching.config, which is not in the package.
BATCHING = """\
max_batch_size { value: 32 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
"""


def serving_image(image: str | None, place: Vertex, accelerator: str | None = None) -> str:
    """Returns the given image, or TensorFlow Serving's in the project's mirror of Docker Hub.

    Args:
        image: The image of the settings.
        place: Project and region.
        accelerator: The accelerator of the machines. The image for CPUs would ignore it.

    Example:
        >>> serving_image(None, Vertex("my-project", "europe-west4"))
        'europe-west4-docker.pkg.dev/my-project/docker-hub/tensorflow/serving:2.20.0'
    """
    # Artifact Registry writes the colon of a project's domain as a slash.
    mirror = f"{place.region}-docker.pkg.dev/{place.project.replace(':', '/')}/docker-hub"
    return image or f"{mirror}/{SERVING_TAG}{'-gpu' if accelerator else ''}"


def serving_arguments(name: str) -> list[str]:
    """Returns the arguments of TensorFlow Serving.

    Args:
        name: The model's name in requests.
    """
    return [
        f"--port={_GRPC_PORT}",
        "--rest_api_port=$(AIP_HTTP_PORT)",
        f"--rest_api_timeout_in_ms={_MILLISECONDS_TO_ANSWER}",
        f"--model_name={name}",
        "--model_base_path=$(AIP_STORAGE_URI)",
        f"--file_system_poll_wait_seconds={_SECONDS_BETWEEN_LISTINGS}",
        "--enable_batching=true",
        f"--batching_parameters_file=$(AIP_STORAGE_URI)/{BATCHING_FILE}",
    ]


def container_spec(name: str, image: str) -> Any:
    """Returns the message that describes the container.

    Args:
        name: The model's name in requests.
        image: The image.
    """
    status = f"/v1/models/{name}"
    return message(
        "ModelContainerSpec",
        image_uri=image,
        command=["tensorflow_model_server"],
        args=serving_arguments(name),
        ports=[{"container_port": REST_PORT}],
        predict_route=f"{status}:predict",
        health_route=status,
        startup_probe=_startup_probe(status),
    )


def _startup_probe(path: str) -> Any:
    """Returns the probe that lets large models load, or None if this version of Google's client has no such fields."""
    from google.cloud import aiplatform_v1

    if not {"http_get", "failure_threshold"} <= aiplatform_v1.Probe.meta.fields.keys():
        return None
    return message(
        "Probe",
        http_get={"path": path, "port": REST_PORT},
        period_seconds=_SECONDS_BETWEEN_PROBES,
        timeout_seconds=_SECONDS_BETWEEN_PROBES // 2,
        failure_threshold=_PROBES_AT_START,
    )
