"""Each section shows the data that it is given."""

import math
import re

import numpy as np
import pytest

from kerasbert.reports import Report, vocabulary_statistics


@pytest.fixture
def shown(read_page):
    """Return the page of a report as a reader sees it."""
    return lambda report: read_page(report.to_html())


# === Training curves ===


def test_curves_name_the_first_the_last_and_the_best_value(shown, history_rows):
    report = Report("run")
    report.add_training_curves(history_rows)
    seen = shown(report)
    assert (
        "Train: 4.800 → 3.000. Validation: 3.400 → 3.200 (best 3.200 at step 100). Phases: short, long." in seen.texts
    )
    assert [text for text in seen.texts if text in ("Loss", "Masked-LM accuracy", "Tokens per second")] == [
        "Loss",
        "Masked-LM accuracy",
        "Tokens per second",
    ]
    assert {"short", "long", "step", "train", "validation"} <= set(seen.texts)


def test_the_best_accuracy_is_the_highest(shown):
    report = Report("run")
    report.add_training_curves(
        [{"step": step, "split": "validation", "accuracy": 0.9 - abs(step - 2) / 10} for step in (1, 2, 3)]
    )
    assert "Validation: 80.0% → 80.0% (best 90.0% at step 2)." in shown(report).texts


def test_steps_that_start_again_are_drawn_after_the_earlier_ones(shown):
    rows = [{"phase": phase, "step": step, "split": "train", "loss": 1.0} for phase in "ab" for step in (100, 200)]
    report = Report("run")
    report.add_training_curves(rows)
    assert "400" in shown(report).texts  # a tick of the axis


def test_a_step_that_was_logged_twice_counts_once(shown):
    rows = [{"step": step, "split": "train", "loss": loss} for step, loss in ((1, 3.0), (2, 9.0), (2, 2.0))]
    report = Report("run")
    report.add_training_curves(rows)
    assert "Train: 3.000 → 2.000." in shown(report).texts


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf, 1e300])
def test_a_loss_that_is_not_a_number_is_a_gap(shown, lost):
    report = Report("run")
    report.add_training_curves(
        [{"step": step, "split": "train", "loss": loss} for step, loss in ((1, 3.0), (2, lost), (3, 2.0))]
    )
    assert "Train: 3.000 → 2.000; too large to draw or not a number: 1." in shown(report).texts
    report = Report("run")
    report.add_training_curves([{"step": 1, "split": "train", "loss": lost}])
    assert "Train: no finite value." in shown(report).texts


def test_a_long_history_stays_small():
    rows = [{"step": step, "split": "train", "loss": 5 + math.sin(step)} for step in range(100_000)]
    report = Report("run")
    report.add_training_curves(rows)
    page = report.to_html()
    assert len(page) < 80_000
    assert "Thin lines: as logged. Bold lines: running mean." in page


def test_history_rows_of_the_wrong_form_are_refused():
    report = Report("run")
    with pytest.raises(ValueError, match=r"must be a mapping\. Received: row 2"):
        report.add_training_curves([{"step": 1}, "x"])
    with pytest.raises(ValueError, match=r"`step` must be.*Received: step=None in row 1"):
        report.add_training_curves([{"loss": 1.0}])
    assert report.sections == []


# === Confusion matrix ===


@pytest.mark.parametrize("size", [2, 3, 16, 77])
def test_a_matrix_shows_its_labels_counts_and_errors(shown, size):
    labels = [f"the label number {index}" for index in range(size)]
    matrix = np.eye(size, dtype=int) * 50
    matrix[0, 1] = 1234
    report = Report("run")
    report.add_confusion_matrix(matrix, labels)
    seen = shown(report)
    total = 50 * size + 1234
    assert any(f"{50 * size:,} of {total:,} texts are on the diagonal" in text for text in seen.texts)
    assert all(seen.texts.count(label) >= 3 for label in labels)  # both axes and the table per label
    assert "1,234" in seen.texts
    assert seen.texts[seen.texts.index("Most frequent errors") + 5 :][:4] == [labels[0], labels[1], "1,234", "96.1%"]
    assert len(report.to_html()) < 400_000
    sizes = [float(value) for value in re.findall(r"font-size:([\d.]+)px", report.sections[0].blocks[0].items[0].svg)]
    assert min(sizes) >= (4 if size > 40 else 8)


@pytest.mark.slow
def test_a_dense_matrix_of_77_labels_stays_small():
    counts = np.random.default_rng(0).integers(1, 50, (77, 77))
    report = Report("run")
    report.add_confusion_matrix(counts, [f"label_{index}" for index in range(77)])
    assert len(report.to_html()) < 1_500_000


def test_labels_that_do_not_occur_have_no_precision_or_recall(shown):
    report = Report("run")
    report.add_confusion_matrix(np.zeros((2, 2), int), ["a", "b"])
    seen = shown(report)
    assert any(text.endswith("No texts.") for text in seen.texts)
    assert seen.texts.count("–") == 6
    report = Report("run")
    report.add_confusion_matrix([[0, 0], [3, 1]], ["a", "b"])
    assert "1 of 4 texts are on the diagonal (25.0%)." in shown(report).text


def test_precision_recall_and_f1(shown):
    report = Report("run")
    report.add_confusion_matrix([[8, 2], [4, 6]], ["a", "b"])
    seen = shown(report)
    start = seen.texts.index("F1")
    assert seen.texts[start + 1 :][:10] == ["a", "10", "66.7%", "80.0%", "72.7%", "b", "10", "75.0%", "60.0%", "66.7%"]


# === Lengths ===


def test_lengths_as_a_list_as_an_array_and_as_counts_are_the_same():
    pages = set()
    for lengths in ([3, 3, 5, 90], np.array([90, 3, 5, 3]), {"3": 2, "5": 1, "90": 1}, {90: 1, 3: 2, 5: 1}):
        report = Report("run")
        report.add_length_histogram({"train": lengths}, limit=64)
        pages.add(report.to_html())
    assert len(pages) == 1
    page = pages.pop()
    assert "train: half of the texts have at most 3 tokens, 25.0% have more than 64." in page
    for figure in ("25.25", "101", "90"):
        assert f">{figure}<" in page


def test_a_few_very_long_texts_do_not_squeeze_the_rest(shown):
    report = Report("run")
    report.add_length_histogram({"train": [10, 11, 12] * 1000 + [1_000_000]})
    seen = shown(report)
    assert "The last bar contains all longer texts." in seen.text
    assert {"10", "11", "12", "1,000,000"} <= set(seen.texts)


@pytest.mark.parametrize("lengths", [{}, {"train": []}, {"train": {}}])
def test_there_is_no_section_without_lengths(lengths):
    report = Report("run")
    report.add_length_histogram(lengths)
    assert report.sections == []


@pytest.mark.parametrize("lengths", [[1.5], [math.nan], [[1, 2]], ["x"], {"3": -1}, {"3": math.inf}, [1e300]])
def test_lengths_of_the_wrong_form_are_refused(lengths):
    with pytest.raises(ValueError, match=r"Lengths must be .*Received: .*'train'"):
        Report("run").add_length_histogram({"train": lengths})


# === Vocabulary ===


def test_statistics_equal_those_counted_by_hand():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "chess", "never"]
    texts = iter([[2, 5, 6, 8, 3, 0, 0], np.array([2, 1, 5, 3]), [], [8, 8, 7]])
    found = vocabulary_statistics(pieces, texts)
    assert found == {
        "size": 10,
        "special_pieces": 5,
        "pieces_by_length": {"word starts": {4: 1, 5: 2}, "continuations": {1: 1, 3: 1}},
        "tokens": 8,
        "words": 6,  # play+ing, chess, [UNK], play, chess, chess+s
        "whole_words": 3,  # chess, play, chess
        "unknown_words": 1,
        "used_pieces": 4,
        "frequent_pieces": [["chess", 3], ["play", 2], ["##ing", 1], ["##s", 1]],
        "coverage": [[1, 0.375], [2, 0.625], [3, 0.75], [4, 0.875]],
    }


def test_statistics_refuse_ids_of_another_vocabulary():
    with pytest.raises(ValueError, match=r"from 0 to 1\. Received: ids from 0 to 2"):
        vocabulary_statistics(["a", "b"], [[0, 2]])


def test_a_vocabulary_without_texts_shows_its_lengths_alone(shown):
    report = Report("run")
    report.add_vocabulary(vocabulary_statistics(["[UNK]", "a", "##bc"]))
    seen = shown(report)
    assert "1 word starts of 1.0 characters on average. 1 continuations of 2.0 characters on average." in seen.texts
    assert "Words kept whole" not in seen.texts
    assert seen.tags.count("svg") == 1


def test_vocabulary_rates(shown, evaluation):
    report = Report("run")
    report.add_vocabulary(evaluation["vocabulary"])
    seen = shown(report)
    tiles = dict(
        zip(seen.texts[seen.texts.index("Pieces") :: 2], seen.texts[seen.texts.index("Pieces") + 1 :: 2], strict=False)
    )
    assert tiles["Pieces"] == "8,000"
    assert tiles["Pieces in use"] == "90.1%"
    assert tiles["Words kept whole"] == "90.0%"
    assert tiles["Unknown words"] == "0.15%"
    assert tiles["Pieces per word"] == "1.20"
    assert "The 100 most frequent pieces make up half of the text." in seen.texts


# === Attention ===


def test_attention_is_described_in_words(shown):
    pieces = ["[CLS]", "the", "cat", "[SEP]"]
    attention = np.zeros((2, 4, 4))
    attention[0] = np.eye(4)
    attention[1, :, 3] = 0.75
    attention[1, :, 2] = 0.25
    report = Report("run")
    report.add_attention(pieces, attention)
    seen = shown(report)
    mean = "On average 62% of a piece's attention goes to itself, 16% to its neighbours, 62% to [CLS] and [SEP]."
    assert mean in seen.texts
    assert "Strongest: “the” → “cat”, 25%." in seen.texts
    assert seen.texts.count("cat") >= 2
    assert seen.tags.count("svg") == 3


def test_layers_are_chosen_so_that_the_page_stays_small(shown):
    attention = np.full((24, 16, 60, 60), 1 / 60, dtype=np.float32)
    report = Report("run")
    report.add_attention([f"piece{index}" for index in range(60)], attention)
    seen = shown(report)
    assert seen.tags.count("svg") == 3 * 17
    assert "The first 40 of 60 pieces are shown. 3 of 24 layers are shown." in seen.text
    assert {"Layer 1 of 24", "Layer 24 of 24, mean of 16 heads"} <= set(seen.texts)
    assert len(report.to_html()) < 1_000_000


@pytest.mark.parametrize("shape", [(2,), (2, 2), (1, 2, 3), (1, 3, 3), (1, 1, 1, 2, 2), (0, 2, 2)])
def test_attention_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"Received: shape {shape}, 2 pieces")):
        Report("run").add_attention(["a", "b"], np.zeros(shape))


# === Answers ===


def test_answers_of_all_interfaces_are_compared(shown):
    ways = {"live": 0.912345678, "rest": 0.912345778, "grpc": 0.9123456}
    report = Report("run")
    report.add_answers(
        [{"text": "Open it.", **{way: {"label": "io", "probability": value} for way, value in ways.items()}}]
    )
    seen = shown(report)
    assert seen.texts[seen.texts.index("Text") :][:6] == ["Text", "Label", "Live model", "REST", "gRPC", "Difference"]
    assert seen.texts[seen.texts.index("Open it.") :][:6] == [
        "Open it.",
        "io",
        "0.91235",
        "0.91235",
        "0.91235",
        "1.78e-7",
    ]
    assert (
        "All interfaces return the same labels. Largest difference between their probabilities: 1.78e-7." in seen.texts
    )


def test_answers_that_differ_are_reported(shown):
    answer = {
        "text": ["a", "b"],
        "live": {"label": "x", "probability": 0.75},
        "rest": {"label": "y", "probability": 0.5},
    }
    report = Report("run")
    report.add_answers([answer, {"text": "only one way", "label": "z", "probability": 0.5}])
    seen = shown(report)
    assert "a ‖ b" in seen.texts
    assert "Live model: x, REST: y" in seen.texts
    assert "0.2500" in seen.texts
    assert any(text.startswith("The interfaces return different labels for 1 of 2 texts.") for text in seen.texts)


# === Tables, metrics, settings ===


def test_all_numbers_of_a_column_have_the_same_decimals(shown):
    report = Report("run")
    rows = [["a", 12.3456, 0.5, 1200, "0.84 ± 0.01"], {"Model": "b", "Loss": 1.5, "Accuracy": 1.0, "Texts": 3}]
    report.add_metrics_table("Models", ["Model", "Loss", "Accuracy", "Texts", "Over seeds"], rows)
    seen = shown(report)
    assert seen.texts[seen.texts.index("a") :][:5] == ["a", "12.35", "50.0%", "1,200", "0.84 ± 0.01"]
    assert seen.texts[seen.texts.index("b") :][:5] == ["b", "1.50", "100.0%", "3", "–"]
    assert seen.values("class").count("number") == 3 * 4


def test_numbers_from_arrays_are_numbers(shown):
    report = Report("run")
    report.add_metrics({"accuracy": np.float32(0.5), "loss": np.float64(2.0), "texts": np.int64(4000), "ok": True})
    report.add_metrics_table("Rows", ["n", "loss"], np.array([[1.0, 2.0]]))
    report.add_settings({"seed": np.int64(3), "rate": np.float64(1e-4), "flag": np.bool_(True)})
    seen = shown(report)
    assert {"50.0%", "2.000", "4,000", "0.0001", "yes", "3"} <= set(seen.texts)
    assert "Ok" not in seen.texts


def test_the_learning_rate_is_not_shown_in_percent(shown):
    report = Report("run")
    report.add_metrics({"learning_rate": 0.01, "unknown_rate": 0.01})
    seen = shown(report)
    assert seen.texts[seen.texts.index("Learning rate") + 1] == "0.01000"
    assert seen.texts[seen.texts.index("Unknown rate") + 1] == "1.0%"


def test_settings_keep_all_digits_and_show_their_path(shown):
    report = Report("run")
    report.add_settings(
        {"eps": 1e-12, "rate": 0.123456789, "steps": 1000000, "model": {"a": {"b": None}}, "l": [1, "x"], "e": {}}
    )
    texts = shown(report).texts
    pairs = dict(zip(texts[texts.index("Value") + 1 :: 2], texts[texts.index("Value") + 2 :: 2], strict=False))
    assert pairs["eps"] == "1e-12"
    assert pairs["rate"] == "0.123456789"
    assert pairs["steps"] == "1000000"
    assert pairs["model.a.b"] == "none"
    assert pairs["l"] == '[1, "x"]'


def test_metrics_per_label_become_a_table(shown):
    report = Report("run")
    report.add_metrics(
        {"macro_f1": 0.5, "per_label": {"io": {"f1": 0.25, "support": 3}, "json": {"f1": 0.75}}, "x": [1]}
    )
    seen = shown(report)
    assert seen.texts[seen.texts.index("Per label") + 1 :][:8] == [
        "F1",
        "Support",
        "io",
        "25.0%",
        "3",
        "json",
        "75.0%",
        "–",
    ]


def test_metrics_that_are_not_a_mapping_are_refused():
    with pytest.raises(ValueError, match="`metrics` must map names to numbers"):
        Report("run").add_metrics([0.5])


def test_an_axis_of_whole_numbers_shows_each_number_once(shown):
    report = Report("run")
    report.add_length_histogram({"train": [12] * 5})
    report.add_training_curves([{"step": step, "split": "train", "loss": 1.0} for step in (1, 2)])
    texts = shown(report).texts
    assert texts.count("12") == 1 + 3  # the axis; median, 95% and longest in the table
    assert texts[texts.index("train", texts.index("Loss")) + 1 :][:2] == ["1", "2"]
