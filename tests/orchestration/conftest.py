"""Text, settings and a vocabulary for small pipelines. All tests of this folder are skipped if TFX is not installed."""

import functools
import importlib.util
import os
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .labelled_tables import FineTuned

Command = Callable[..., tuple[int, str, list[str]]]

WORDS = {
    "animals": ["dog", "cat", "horse", "cow", "sheep", "bird", "fish", "whale", "mouse", "rabbit"],
    "tools": ["hammer", "saw", "nail", "drill", "screw", "wrench", "plane", "chisel", "ruler", "clamp"],
    "food": ["bread", "cheese", "apple", "soup", "rice", "bean", "carrot", "onion", "plum", "honey"],
}

has_tfx = importlib.util.find_spec("tfx") is not None and importlib.util.find_spec("tfx.components") is not None


if has_tfx:
    with warnings.catch_warnings():
        # TFX's libraries give deprecation warnings with this version of Python.
        warnings.simplefilter("ignore")
        import kfp  # noqa: F401
        import tfx.components  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Turns warnings into errors only if this project causes them: TFX, Beam and their libraries give many."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("error:::kerasbert"))
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collects only the tests of the settings if TFX is not installed."""
    return True if not has_tfx and collection_path.name not in ("conftest.py", "test_settings.py") else None


def documents(number: int, seed: int = 1, sentences: int = 6) -> list[list[str]]:
    """Returns documents of a few sentences, each document on one topic."""
    rng = random.Random(seed)
    topics = [rng.choice(list(WORDS)) for _ in range(number)]
    return [
        ["the " + " and the ".join(rng.sample(WORDS[topic], 3)) + "." for _ in range(sentences)] for topic in topics
    ]


def write_documents(path: Path, texts: list[list[str]]) -> Path:
    """Writes one sentence per line, with a blank line between documents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join("\n".join(document) for document in texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with 60 documents in two files."""
    folder = tmp_path / "texts"
    write_documents(folder / "a.txt", documents(40, seed=1))
    write_documents(folder / "b.txt", documents(20, seed=2))
    return folder


@pytest.fixture(scope="session")
def preprocessing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a vocabulary of the topics' words."""
    from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

    words = sorted(word for topic in WORDS.values() for word in topic)
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "and", ".", *words])
    folder = tmp_path_factory.mktemp("preprocessing")
    TextToInputs(WordPieceTokenizer(vocabulary)).save(folder)
    return folder


@pytest.fixture
def file_hashes() -> Callable[[Path], dict[str, str]]:
    """Returns relative path -> hash of the content for all files of a folder."""
    import hashlib

    def hashes(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return hashes


@pytest.fixture(scope="session")
def bucket_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled file system, registered in this process."""
    from . import bucket_filesystem

    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    library = bucket_filesystem.build(tmp_path_factory.mktemp("bucket_library"))
    bucket_filesystem.register(library)
    return library


@pytest.fixture
def bucket(bucket_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket, for this process and its subprocesses."""
    (tmp_path / "objects").mkdir()
    (tmp_path / "at_start").mkdir()
    (tmp_path / "at_start" / "sitecustomize.py").write_text(
        f"from tests.orchestration import bucket_filesystem\nbucket_filesystem.register({str(bucket_library)!r})\n"
    )
    monkeypatch.setenv("BUCKET_FOLDER", str(tmp_path / "objects"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'at_start'}{os.pathsep}{Path(__file__).parents[2]}")
    return "bucket://kept"


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small BERT."""
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(
        '{"vocab_size": 1, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, '
        '"intermediate_size": 64, "max_position_embeddings": 64, "type_vocab_size": 2}'
    )
    return path


@pytest.fixture
def make_settings(tmp_path: Path, preprocessing: Path, tiny_config: Path) -> Callable[..., Any]:
    """`make_settings(kind, **values)`: the settings of a pipeline to compile, with tiny data."""
    from .compiled_settings import compiled_settings

    return functools.partial(
        compiled_settings, folder=tmp_path, config_file=tiny_config, vocabulary_file=preprocessing / "vocab.txt"
    )


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `kerasbert pipeline` in this process and returns its exit code, output and error lines."""
    from kerasbert.cli import main

    def run(*arguments: object) -> tuple[int, str, list[str]]:
        code = 0
        try:
            main(["pipeline", *map(str, arguments)])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = capfd.readouterr()
        return code, out, [line for line in err.splitlines() if line.startswith("kerasbert: ")]

    return run


@pytest.fixture(scope="session")
def start_model(tmp_path_factory: pytest.TempPathFactory, preprocessing: Path) -> Path:
    """A tiny model to start from."""
    from .labelled_tables import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("start") / "model [1] 100% #ü", preprocessing)


@pytest.fixture(scope="session")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory, start_model: Path) -> "FineTuned":
    """The settings and the summary of a first run of the fine-tuning pipeline, in folders with unusual names."""
    from kerasbert_pipelines.fine_tune import create_pipeline
    from kerasbert_pipelines.local.run_local import run

    from .labelled_tables import fine_tune_settings, topic_rows, write_table

    folder = tmp_path_factory.mktemp("fine_tuning")
    rows = write_table(folder / "rows [v1]" / "a*50% #2 ü.csv", ("text", "label"), topic_rows(300))
    places = {"pipeline_root": str(folder / "root 100% #1 ü"), "push_folder": str(folder / "pushed 100% #1 ü")}
    settings = fine_tune_settings(folder, rows, start_model, **places)
    return settings, run(create_pipeline, settings)
