"""Questions are answered with parts of the original text, in training, commands and exported models alike."""

import json
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.config import BertConfig
from kerasbert.data.tables.questions import Answer, AskedQuestions, read_questions
from kerasbert.errors import BadInputError
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.served.task import served_model
from kerasbert.models import BertBackbone, BertSpanPredictor
from kerasbert.models.inference import compiled_forward
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import FineTuningSettings, fine_tune
from kerasbert.recipes.exporting import run_facts
from kerasbert.recipes.prediction import evaluate, load_classifier, predict
from kerasbert.recipes.tasks.question_answering import answer_search, evaluate_answers, find_answers
from kerasbert.recipes.tasks.question_windows import training_windows, window_batches
from kerasbert.reports import write_run_report
from kerasbert.settings import AnswerSettings
from kerasbert.training import CandidateLoss

NAMES = ["anna", "ben", "carl", "dora"]
PLACES = ["rome", "paris", "oslo", "bern"]
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ".",
    "?",
    "where",
    "is",
    "in",
    "é",
    "##s",
    "日",
    *NAMES,
    *PLACES,
]
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
# A short text, texts of several windows, an empty one, and characters of several bytes, which start and end answers.
CONTEXTS = [
    "Anna is in Rome.",
    "Annas É日 is . " * 7 + "Ben is in Oslo.",
    "",
    "\U0001f600 é日ÉS.\u200b",
    "ben in paris. " * 4,
]
ANSWERS = (
    (Answer("Rome", 11),),
    (Answer("Oslo", 98 + 10), Answer("Ben", 98)),
    (),
    (Answer("日É", 3),),
    (Answer("Bern", None),),
)


@pytest.fixture(scope="module")
def to_inputs() -> TextToInputs:
    return TextToInputs(WordPieceTokenizer(Vocabulary(PIECES), strip_accents=False), sequence_length=20)


@pytest.fixture(scope="module")
def rows() -> AskedQuestions:
    questions = ("Where is Anna?", "Where? " * 5, "?", "é", "Where is Ben?")
    return AskedQuestions(questions, tuple(CONTEXTS), ANSWERS, ("a", "", "", "", ""), tuple("12345"))


@pytest.fixture(scope="module")
def model() -> BertSpanPredictor:
    keras.utils.set_random_seed(1)
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=20, initializer_range=1.0, **SIZES)
    return BertSpanPredictor(BertBackbone.from_config(config))


def search(stride: int = 4) -> AnswerSearch:
    return AnswerSearch(max_question_tokens=6, stride=stride)


def test_targets_are_the_tokens_of_the_answer(rows: AskedQuestions, to_inputs: TextToInputs) -> None:
    windows = training_windows(rows, to_inputs, search())
    found: dict[str, set[str]] = {}
    for question, context, (start, end) in zip(
        windows.questions.to_list(), windows.contexts.to_list(), windows.targets, strict=True
    ):
        packed = ["[CLS]", *(PIECES[piece] for piece in question), "[SEP]", *(PIECES[piece] for piece in context)]
        key = " ".join(packed[1 : packed.index("[SEP]")])
        found.setdefault(key, set()).add(" ".join(packed[start : end + 1]))
    assert found == {
        "where is anna ?": {"rome"},
        "where ? where ? where ?": {"oslo", "[CLS]"},  # cut to 6 tokens; not every window has the answer
        "?": {"[CLS]"},
        "é": {"日 é"},
    }  # without the question whose context does not contain the answer


def test_windows_overlap_and_contain_every_token(to_inputs: TextToInputs) -> None:
    rows = AskedQuestions(("?",), ("anna ben carl dora rome paris oslo bern . " * 4,), ((),), ("",), ("",))
    windows = training_windows(rows, to_inputs, search()).contexts.to_list()
    ids = to_inputs.tokenizer.tokenize(list(rows.contexts)).to_list()[0]
    assert len(windows) == 6  # of 16 tokens, of 36 in all
    assert [window for begin, window in enumerate(windows) if window != ids[4 * begin : 4 * begin + 16]] == []


def test_windows_without_the_answer_are_subsampled(rows: AskedQuestions, to_inputs: TextToInputs) -> None:
    def counts(share: float, seed: int = 0) -> tuple[int, int]:
        windows = training_windows(rows, to_inputs, search(1), share, seed)
        return len(windows), int((windows.targets[:, 0] > 0).sum())

    (every, with_answer), (half, with_answer_in_half), (none, _) = counts(1), counts(0.5), counts(0)
    assert with_answer == with_answer_in_half
    assert none == with_answer + 1  # the window of the question that has no answer
    assert none < half < every
    assert counts(0.5) == (half, with_answer)


def test_rows_without_a_usable_answer_are_refused(rows: AskedQuestions, to_inputs: TextToInputs) -> None:
    with pytest.raises(BadInputError, match="context contains its answer"):
        training_windows(rows.select([4]), to_inputs, search())


@pytest.mark.backend
def test_training_and_evaluation_have_the_same_loss(
    rows: AskedQuestions, to_inputs: TextToInputs, model: BertSpanPredictor
) -> None:
    windows = training_windows(rows, to_inputs, search())
    losses = []
    for inputs, targets in window_batches(windows, to_inputs, 3):
        outputs, loss = (
            compiled_forward(model)({name: np.asarray(part) for name, part in inputs.items()}),
            CandidateLoss(),
        )
        sides = [np.asarray(loss.call(np.asarray(targets[name]), outputs[name])) for name in targets]
        losses += np.mean(sides, axis=0).tolist()
    reading = AnswerSettings(stride=4, max_question_tokens=6)
    metrics = [evaluate_answers(model, rows, to_inputs, batch_size, reading) for batch_size in (1, 32)]
    for measured in metrics:
        assert measured["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert {name: value for name, value in metrics[0].items() if name != "loss"} == pytest.approx(
        {name: value for name, value in metrics[1].items() if name != "loss"}, rel=1e-4
    )
    assert metrics[0]["rows"] == 5
    assert metrics[0]["truncated_rows"] == 1  # the second question


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exported models are TensorFlow graphs")
def test_answers_are_those_of_the_exported_model(
    rows: AskedQuestions, to_inputs: TextToInputs, model: BertSpanPredictor
) -> None:
    settings = AnswerSettings(stride=4, max_question_tokens=6, max_answer_tokens=5, answers=7)
    served = served_model(model, to_inputs, answer_search=answer_search(settings))
    outputs = served.find(tf.constant(rows.questions), tf.constant(rows.contexts))
    for row, found in enumerate(find_answers(model, to_inputs, rows, 2, settings)):
        count = int(outputs["answer_count"][row])
        assert [answer["text"].encode() for answer in found["answers"]] == outputs["answers"][
            row, :count
        ].numpy().tolist()
        for name, key in (("scores", "score"), ("probabilities", "probability")):
            expected = outputs[name][row, :count].numpy()
            np.testing.assert_allclose([answer[key] for answer in found["answers"]], expected, atol=1e-4)
        assert found["no_answer_score"] == pytest.approx(float(outputs["no_answer_score"][row]), abs=1e-4)
        assert found["truncated_token_count"] == int(outputs["truncated_token_count"][row])


@pytest.mark.backend
def test_answers_are_parts_of_the_text(rows: AskedQuestions, to_inputs: TextToInputs, model: BertSpanPredictor) -> None:
    found = list(find_answers(model, to_inputs, rows))
    for context, answer in zip(rows.contexts, found, strict=True):
        assert all(part["text"] == context[part["start"] : part["end"]] for part in answer["answers"])
        assert answer["answer"] == (answer["answers"][0]["text"] if answer["answers"] else None)
    assert [answer["answer"] is None for answer in found] == [False, False, True, False, False]
    assert "id" in found[0]
    assert "id" not in found[1]
    with_threshold = AnswerSettings(no_answer_threshold=found[0]["no_answer_score"] - found[0]["score"] - 0.01)
    assert next(find_answers(model, to_inputs, rows, settings=with_threshold))["answer"] is None


def people(count: int, seed: int) -> list[dict[str, Any]]:
    """Questions about a person, in a text with one place."""
    rng, made = random.Random(seed), []
    for _ in range(count):
        first, second = rng.sample(NAMES, 2)
        place = rng.choice(PLACES)
        context = rng.choice(["{0} is. {1} is in {2}.", "{1} is in {2}. {0} is.", "In {2} is {1}."])
        context = context.format(first.capitalize(), second.capitalize(), place.capitalize())
        made.append({"question": f"Where is {second}?", "context": context, "answers": [place.capitalize()]})
    return made


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("questions")
    for name, count in (("train", 200), ("test", 40)):
        rows = people(count, seed=count)
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = {"vocab_size": 1, "max_position_embeddings": 32, "type_vocab_size": 2, "initializer_range": 0.2, **SIZES}
    (folder / "config.json").write_text(json.dumps(config))
    Vocabulary(PIECES).save(folder / "vocab.txt")
    fine_tune(settings_of(folder))
    return folder


def settings_of(folder: Path, **changes: Any) -> FineTuningSettings:
    given: dict[str, Any] = {
        "task": "question_answering",
        "train": str(folder / "train.jsonl"),
        "test": str(folder / "test.jsonl"),
        "vocabulary": str(folder / "vocab.txt"),
        "model": str(folder / "config.json"),
        "output": str(folder / "run"),
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "dropout": 0,
        "sequence_length": 24,
        "show_progress": False,
    }
    return FineTuningSettings(**{**given, **changes})


def test_a_run_learns_to_answer(tuned: Path) -> None:
    evaluation = json.loads((tuned / "run" / "evaluation.json").read_text())
    metrics = evaluation["metrics"]
    assert metrics["exact_match"] >= 0.9
    assert metrics["f1"] >= metrics["exact_match"]
    classifier = load_classifier(tuned / "run" / "model")
    rows = AskedQuestions(("Where is Anna?",), ("Anna is in Oslo.",), None, ("",), ("",))
    assert next(predict(classifier, rows))["answer"] == "Oslo"
    with pytest.raises(BadInputError, match="monitor"):
        fine_tune(settings_of(tuned, monitor="best_f1", output=str(tuned / "other")))


def test_a_run_is_reported_with_its_answers(tuned: Path) -> None:
    evaluation = json.loads((tuned / "run" / "evaluation.json").read_text())
    page = write_run_report(tuned / "run").read_text(encoding="utf-8")
    assert evaluation["answers"][0]["text"] in page
    assert "exact match" in page.lower()
    facts = run_facts(tuned / "run" / "model")
    assert facts["metrics"]["test"]["f1"] == evaluation["metrics"]["f1"]
    assert facts["data"]["train"] == [str(tuned / "train.jsonl")]


def test_evaluation_gives_the_metrics_of_the_run(tuned: Path) -> None:
    classifier = load_classifier(tuned / "run" / "model")
    expected = json.loads((tuned / "run" / "evaluation.json").read_text())["metrics"]
    measured = evaluate(classifier, read_questions(tuned / "test.jsonl"), batch_size=7)
    assert measured == pytest.approx(expected, rel=1e-4)
