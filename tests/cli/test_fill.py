"""`kerasbert fill` prints the pieces that fit best where texts say `[MASK]`."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from kerasbert.checkpoints import save
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

from .conftest import PIECES, SIZES

Command = Callable[..., object]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a masked language model that was not trained."""
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, initializer_range=1.0, **SIZES)
    to_inputs = TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=8)
    folder = tmp_path_factory.mktemp("fill") / "model"
    return save(BertPretrainer(BertBackbone.from_config(config)), folder, to_inputs)


def test_texts_are_filled_in_their_order(command: Command, model: Path, tmp_path: Path) -> None:
    texts = ["the [MASK] is [MASK]", "[MASK]"]
    given = command("fill", model, *texts, "--top-n", 2)
    answers = [json.loads(line) for line in given.out.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    assert [[len(pieces) for pieces in answer["candidates"]] for answer in answers] == [[2, 2], [2]]
    first, second = (pieces[0]["piece"] for pieces in answers[0]["candidates"])
    assert answers[0]["filled"] == f"the {first} is {second}"
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    read = command("fill", model, "--file", tmp_path / "texts.txt", "--top-n", 2, "-o", tmp_path / "filled.jsonl")
    assert read.code == 0
    assert (tmp_path / "filled.jsonl").read_text() == given.out


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("the [mask] is here", "must contain [MASK]"),
        ("the cat is here [MASK] the dog", "at most 8 tokens, which is what the model reads. Received: 9 tokens"),
    ],
)
def test_a_text_that_cannot_be_filled_ends_in_one_line(
    command: Command, model: Path, tmp_path: Path, text: str, rule: str
) -> None:
    (tmp_path / "texts.txt").write_text(f"the [MASK]\n{text}\n")
    result = command("fill", model, "--file", tmp_path / "texts.txt", "--output", tmp_path / "filled.jsonl")
    assert result.code == 1
    assert rule in result.error
    assert repr(text) in result.error
    assert not (tmp_path / "filled.jsonl").exists()


def test_a_model_without_the_head_is_refused(command: Command, tiny_files: Path) -> None:
    result = command("fill", tiny_files / "model", "the [MASK]")
    assert result.code == 1
    assert "must have a masked-LM head" in result.error
    assert "a BertSequenceClassifier" in result.error
