"""The commands with a model that answers questions."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from kerasbert.checkpoints import save
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSpanPredictor
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

from .conftest import PIECES, SIZES

Command = Callable[..., object]
ROWS = [
    {"id": "q1", "question": "the cat is", "context": "the cat is here", "answers": ["here"]},
    {"id": "q2", "question": "the dog is", "context": "the cat is here", "answers": []},
] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that was not trained, and a file of questions."""
    folder = tmp_path_factory.mktemp("questions")
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, initializer_range=1.0, **SIZES)
    to_inputs = TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=12)
    save(BertSpanPredictor(BertBackbone.from_config(config)), folder / "model", to_inputs)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return folder


def test_predict_answers_questions_of_the_command_line_and_of_files(command: Command, folder: Path) -> None:
    given = command("predict", folder / "model", "the cat is", "the cat is here", "--answers", 2)
    (answer,) = map(json.loads, given.out.splitlines())
    assert answer["question"] == "the cat is"
    assert answer["answer"] == "the cat is here"[answer["start"] : answer["end"]]
    assert len(answer["answers"]) == 2
    read = command("predict", folder / "model", "--file", folder / "rows.jsonl", "--no-answer-threshold", -1000)
    answers = [json.loads(line) for line in read.out.splitlines()]
    assert [row["id"] for row in answers] == ["q1", "q2"] * 4
    assert {row["answer"] for row in answers} == {None}
    assert answers[0]["answers"][0]["text"] == answer["answer"]


def test_evaluate_prints_the_metrics_of_squad(command: Command, folder: Path, tmp_path: Path) -> None:
    result = command("evaluate", folder / "model", folder / "rows.jsonl", "--output", tmp_path / "metrics.json")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "On 8 rows:" in result.out
    assert f"  best f1                      {metrics['best_f1']:.4f}" in result.out
    assert metrics["no_answer_threshold"] == 0.0
    never = command("evaluate", folder / "model", folder / "rows.jsonl", "--no-answer-threshold", -1000)
    assert "  exact match                  0.5000" in never.out  # that of the questions without an answer


@pytest.mark.parametrize("texts", [("the cat is",), ("the cat", "the dog", "the saw")])
def test_a_question_without_a_text_is_refused(command: Command, folder: Path, texts: tuple[str, ...]) -> None:
    result = command("predict", folder / "model", *texts)
    assert result.code == 2
    assert "each followed by the text to search" in result.err


def test_bad_questions_end_in_one_line(command: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "the cat", "answers": ["here"]}')
    training = ("--task", "question_answering", "--from", folder / "model", "--output", tmp_path / "run")
    for name, arguments in {"evaluate": (), "fine-tune": (*training, "--sequence-length", 8)}.items():
        first = (folder / "model",) if name == "evaluate" else ()
        result = command(name, *first, tmp_path / "rows.jsonl", *arguments)
        assert result.code == 1
        assert "`context`" in result.error
        assert "1 of" in result.error
    weighted = command(
        "fine-tune", folder / "rows.jsonl", *training, "--sequence-length", 16, "--class-weights", "balanced"
    )
    assert weighted.code == 1
    assert "--class-weights" in weighted.error
    assert not (tmp_path / "run").exists()
