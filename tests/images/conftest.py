"""The images, built once. The tests of this folder are skipped where images cannot be built."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .buildah import Builder, Container

ROOT = Path(__file__).parents[2]
BASE = "localhost/debian-13-python"
PIPELINE = "localhost/kerasbert-pipeline:cpu"
_TOOLS = ("buildah", "debootstrap", "ip", "unshare")
_DISK = 20e9


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line of the report, which is part of the result of these tests."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)

    return show


@pytest.fixture(scope="session")
def builder() -> Iterator[Builder]:
    """A builder with a base image. If IMAGES_FOLDER is set, its images are kept there for the next run."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    if os.geteuid():
        pytest.skip("only root can build images in a chroot")
    kept = os.environ.get("IMAGES_FOLDER")
    folder = Path(kept or tempfile.mkdtemp(prefix="kerasbert-images-"))
    folder.mkdir(exist_ok=True)
    if not kept and shutil.disk_usage(folder).free < _DISK:
        folder.rmdir()
        pytest.skip(f"the images need {_DISK / 1e9:.0f} GB of disk")
    builder = Builder(folder)
    try:
        if BASE not in builder.call("images", "--format", "{{.Name}}"):
            builder.make_base(BASE)
        yield builder
    finally:
        if not kept:
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def pipeline_image(builder: Builder) -> str:
    """The image of the pipelines' steps, built from the real Dockerfile."""
    if PIPELINE not in builder.call("images", "--format", "{{.Name}}:{{.Tag}}"):
        seconds = builder.build(PIPELINE, ROOT / "pipelines/deploy/Dockerfile", ROOT, {"BASE": BASE}, target="cpu")
        (builder.folder / "seconds").write_text(f"{seconds:.0f}")
    return PIPELINE


@pytest.fixture(scope="session")
def pipeline_container(builder: Builder, pipeline_image: str) -> Iterator[Container]:
    """A container of the pipelines' image, in which tests run commands."""
    with builder.container(pipeline_image) as container:
        yield container


@pytest.fixture(scope="session")
def pipeline_root(builder: Builder, pipeline_image: str) -> Iterator[Path]:
    """The files of the pipelines' image, which no command has touched."""
    with builder.container(pipeline_image) as container:
        yield container.root


@pytest.fixture(scope="session")
def base_root(builder: Builder) -> Iterator[Path]:
    """The files of the base image."""
    with builder.container(BASE) as container:
        yield container.root
