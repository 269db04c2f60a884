"""Small runs, produced once per session by the real commands, that the other tests start from."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from kerasbert.checkpoints import save
from kerasbert.cli import main
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

WORDS = {
    "animals": ["dog", "cat", "horse", "cow", "sheep", "bird", "fish", "whale", "mouse", "rabbit"],
    "tools": ["hammer", "saw", "nail", "drill", "screw", "wrench", "plane", "chisel", "ruler", "clamp"],
    "food": ["bread", "cheese", "apple", "soup", "rice", "bean", "carrot", "onion", "plum", "honey"],
}

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "saw", "is", "here"]
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def sentence(topic: str, rng: random.Random) -> str:
    return "the " + " and the ".join(rng.sample(WORDS[topic], 3)) + "."


class Result:
    """Exit code and output of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def error(self) -> str:
        """The one line that a failed command prints on standard error."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("kerasbert: ")]
        return line


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Result:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 documents of six sentences each, each document on one topic."""
    rng = random.Random(1)
    documents = [
        "\n".join(sentence(topic, rng) for _ in range(6)) for topic in (rng.choice(list(WORDS)) for _ in range(60))
    ]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n\n".join(documents) + "\n")
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of text, labelled with one of three topics."""
    rng = random.Random(2)
    path = tmp_path_factory.mktemp("table") / "train.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(120):
            topic = rng.choice(list(WORDS))
            writer.writerow([sentence(topic, rng), topic])
    return path


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small BERT. With the usual initial weights of 0.02, so narrow a model often confuses topics for good."""
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(
        '{"vocab_size": 1, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, '
        '"intermediate_size": 64, "max_position_embeddings": 64, "type_vocab_size": 2, "initializer_range": 0.1}'
    )
    return path


@pytest.fixture(scope="session")
def vocabulary(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    main(["vocabulary", str(corpus), "--size", "200", "--output", str(path)])
    return path


@pytest.fixture(scope="session")
def pretrained(corpus: Path, vocabulary: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pretraining run of a few steps."""
    path = tmp_path_factory.mktemp("runs") / "pretrain"
    main(
        f"pretrain {corpus} --vocabulary {vocabulary} --model {config} --output {path} --steps 12 --batch-size 8 "
        "--sequence-length 24 --long-sequence-length 48 --long-share 0.25 --held-out-share 0.2 --dupe-factor 2".split()
    )
    return path


@pytest.fixture(scope="session")
def fine_tuned(table: Path, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fine-tuning run whose model classifies the topics correctly."""
    path = tmp_path_factory.mktemp("runs") / "fine-tune"
    main(
        f"fine-tune {table} --from {pretrained / 'model'} --output {path} --epochs 30 --batch-size 16 "
        "--sequence-length 32 --learning-rate 2e-3 --dropout 0".split()
    )
    return path


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the smallest classifier and masked language model, texts, and a file of every other kind."""
    folder = tmp_path_factory.mktemp("files")
    vocabulary = Vocabulary(PIECES)
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, **SIZES)
    model = BertSequenceClassifier(BertBackbone.from_config(config), num_labels=2)
    to_inputs = TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=8)
    save(model, folder / "model", to_inputs, ["a", "b"])
    save(BertPretrainer(model.backbone), folder / "pretrained", to_inputs)
    vocabulary.save(folder / "vocab.txt")
    contents = {
        "config.json": json.dumps({"vocab_size": 1, "max_position_embeddings": 16, **SIZES}),
        "text.txt": "the cat is here\nthe dog is here\n\n" * 4,
        "rows.csv": "text,label\n" + "the cat,a\nthe dog,b\nthe saw,a\nis here,b\n",
        "lines.txt": "the cat\nthe dog\n",
        "masked.txt": "the [MASK]\n",
        "card.json": '{"limits": ["Tests only."]}',
        "settings.yaml": "data: gs://bucket/rows\nvocabulary: vocab.txt\n",
        "models.config": "model_config_list {}",
        "empty.config": "",
        "pipeline.json": "{}",
        "run/settings.json": '{"format": 1, "command": "fine-tune", "settings": {"seed": 0}}',
        "run/history.jsonl": '{"step": 1, "loss": 0.5}\n',
    }
    (folder / "run").mkdir()
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder
