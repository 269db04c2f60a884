import json
import os
import signal

import keras
import numpy as np
import pytest

from kerasbert.errors import BadInputError, TrainingStoppedError
from kerasbert.training import Phase, evaluate_classifier, fit

pytestmark = pytest.mark.backend

TIMING = ("tokens_per_second",)


class CrashError(Exception):
    pass


def crash(model):
    raise CrashError


def without_timing(rows):
    return [{name: value for name, value in row.items() if name not in TIMING} for row in rows]


@pytest.fixture
def quiet(tmp_path, stand_in):
    """Arguments that most tests share."""
    return {
        "run_dir": tmp_path / "run",
        "checkpoint_every": 4,
        "log_every": 5,
        "tensorboard": False,
        "show_progress": False,
    }


def lines_of(run_dir):
    return [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_every_window_has_its_row(quiet, stand_in):
    history = fit(stand_in.new_classifier(dropout=0.0, peak=0.2), stand_in.batches_from, 40, **quiet)
    assert [row["step"] for row in history.rows] == list(range(5, 41, 5))
    assert history.rows[-1]["loss"] < 0.8 * history.rows[0]["loss"]
    assert set(history.rows[0]) == {
        *("phase", "step", "split", "loss", "accuracy", "learning_rate", "tokens_per_second")
    }
    assert history.rows == lines_of(quiet["run_dir"])
    assert (history.steps, history.best, history.stopped_early) == (40, None, False)


def test_a_rows_metrics_are_those_of_its_window_alone(quiet, stand_in):
    model = stand_in.new_classifier(
        peak=1e-30, dropout=0.0
    )  # weights barely change: each window is the mean of its own batches
    history = fit(model, stand_in.batches_from, 10, **quiet)
    for start, row in zip((0, 5), history.rows, strict=True):
        inputs, labels = zip(*(stand_in.numbered_batch(n) for n in range(start, start + 5)), strict=True)
        joined = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        metrics = evaluate_classifier(model, [(joined, np.concatenate(labels))])
        assert row["loss"] == pytest.approx(metrics["loss"], rel=1e-5)
        assert row["accuracy"] == pytest.approx(metrics["accuracy"], rel=1e-5)


@pytest.mark.parametrize("crash_at", [3, 4, 9, 13])
def test_a_continued_run_ends_with_the_same_bits_as_an_uninterrupted_one(quiet, stand_in, tmp_path, crash_at):
    def phases():
        return [Phase("short", stand_in.batches_from, 7), Phase("long", stand_in.batches_from, 8)]

    def validate(model):
        return evaluate_classifier(model, stand_in.batches_from(500, 502))

    options = {**quiet, "validate": validate, "validate_every": 6, "early_stopping_patience": 9}
    whole = stand_in.new_classifier(accumulation_steps=2)
    expected = fit(whole, phases(), **{**options, "run_dir": tmp_path / "whole"})

    with pytest.raises(CrashError):
        fit(
            stand_in.new_classifier(accumulation_steps=2),
            phases(),
            callbacks=[stand_in.Interrupt(crash_at, crash)],
            **options,
        )
    again = stand_in.new_classifier(accumulation_steps=2)
    if list((quiet["run_dir"] / "checkpoints").iterdir()):
        for variable in again.trainable_variables:
            variable.assign(variable + 1.0)  # initial values must not matter
    history = fit(again, phases(), **options)
    stand_in.assert_same_bits(again, whole)
    assert without_timing(history.rows) == without_timing(expected.rows) == without_timing(lines_of(quiet["run_dir"]))
    assert history.best == expected.best


def test_a_finished_run_is_not_trained_again(quiet, stand_in):
    model, again = stand_in.new_classifier(), stand_in.new_classifier()
    fit(model, stand_in.batches_from, 6, **quiet)

    def no_data(start_batch):
        raise AssertionError("a finished run needs no data")

    history = fit(again, no_data, 6, **quiet)
    stand_in.assert_same_bits(again, model)
    assert history.steps == 6
    assert len(history.rows) == 2


def test_a_run_can_be_extended(quiet, stand_in, tmp_path):
    whole, longer = stand_in.new_classifier(), stand_in.new_classifier()
    fit(whole, stand_in.batches_from, 15, **{**quiet, "run_dir": tmp_path / "whole"})
    fit(stand_in.new_classifier(), stand_in.batches_from, 10, **quiet)
    fit(longer, stand_in.batches_from, 15, **quiet)
    stand_in.assert_same_bits(longer, whole)


def test_a_restarted_run_begins_at_the_first_step(quiet, stand_in):
    fit(stand_in.new_classifier(), stand_in.batches_from, 12, **quiet)
    model = stand_in.new_classifier()
    history = fit(model, stand_in.batches_from, 6, restart=True, **quiet)
    assert [row["step"] for row in history.rows] == [5, 6]
    assert sorted(path.name for path in (quiet["run_dir"] / "checkpoints").iterdir()) == [
        "step-000000004.npz",
        "step-000000006.npz",
    ]


@pytest.mark.parametrize(
    "phases",
    [[("other", 12)], [("first", 3), ("second", 9)], [("first", 5), ("third", 9)], [("first", 5), ("second", 4)]],
)
def test_other_phases_than_those_begun_are_refused(quiet, stand_in, phases):
    begun = [Phase("first", stand_in.batches_from, 5), Phase("second", stand_in.batches_from, 9)]
    with pytest.raises(CrashError):
        fit(stand_in.new_classifier(), begun, callbacks=[stand_in.Interrupt(13, crash)], **quiet)
    before = (quiet["run_dir"] / "history.jsonl").read_bytes()
    with pytest.raises(BadInputError, match=r"\('first', 5\), \('second', 9\).*another folder"):
        fit(stand_in.new_classifier(), [Phase(name, stand_in.batches_from, steps) for name, steps in phases], **quiet)
    assert (quiet["run_dir"] / "history.jsonl").read_bytes() == before


def test_another_seed_than_the_one_begun_with_is_refused(quiet, stand_in):
    fit(stand_in.new_classifier(), stand_in.batches_from, 3, seed=1, **quiet)
    with pytest.raises(BadInputError, match=r"seed=2.*seed=1"):
        fit(stand_in.new_classifier(), stand_in.batches_from, 9, seed=2, **quiet)


def test_a_state_of_another_shape_is_refused_and_every_mismatch_named(quiet, stand_in):
    fit(stand_in.new_classifier(num_labels=3), stand_in.batches_from, 4, **quiet)
    model = stand_in.new_classifier(num_labels=5)
    before = stand_in.weights_of(model)
    with pytest.raises(BadInputError) as caught:
        fit(model, stand_in.batches_from, 8, **quiet)
    message = str(caught.value)
    assert "2 mismatches" in message
    assert "logits/kernel has the shape (4, 5) and the file (4, 3)" in message
    assert "logits/bias has the shape (5,) and the file (3,)" in message
    for one, other in zip(stand_in.weights_of(model), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_early_stopping_restores_the_best_weights(quiet, stand_in):
    seen = []

    def validate(model):
        seen.append(stand_in.weights_of(model))
        return {"macro_f1": [0.1, 0.5, 0.4, 0.5, 0.3][len(seen) - 1], "confusion_matrix": [[1]]}

    model = stand_in.new_classifier()
    options = {**quiet, "validate": validate, "validate_every": 2, "monitor": "macro_f1", "early_stopping_patience": 3}
    history = fit(model, stand_in.batches_from, 40, **options)
    assert (history.steps, history.stopped_early) == (10, True)
    assert history.best == {"phase": "train", "step": 4, "split": "validation", "macro_f1": 0.5}
    for one, other in zip(stand_in.weights_of(model), seen[1], strict=True):
        np.testing.assert_array_equal(one, other)
    again = stand_in.new_classifier()
    assert fit(again, stand_in.batches_from, 40, **options).steps == 10
    stand_in.assert_same_bits(again, model)


def test_an_unknown_monitored_metric_is_refused_with_the_known_ones(quiet, stand_in):
    with pytest.raises(ValueError, match=r"\['accuracy', 'f1'\].*'loss'"):
        fit(stand_in.new_classifier(), stand_in.batches_from, 4, validate=lambda m: {"accuracy": 1, "f1": 1}, **quiet)


def test_validation_does_not_disturb_training(quiet, stand_in, tmp_path):
    def validate(model):
        return model.evaluate(*stand_in.numbered_batch(900), return_dict=True, verbose=0)

    plain, watched = stand_in.new_classifier(), stand_in.new_classifier()
    expected = fit(plain, stand_in.batches_from, 10, **quiet)
    other = {**quiet, "run_dir": tmp_path / "watched", "validate": validate, "validate_every": 3}
    history = fit(watched, stand_in.batches_from, 10, **other)
    stand_in.assert_same_bits(watched, plain)
    assert without_timing(r for r in history.rows if r["split"] == "train") == without_timing(expected.rows)


def bad_batches_from(stand_in, first_bad):
    def make_dataset(start_batch):
        for number in range(start_batch, 100):
            inputs, labels = stand_in.numbered_batch(number)
            weights = np.full(4, np.nan if number >= first_bad else 1.0, "float32")
            yield inputs, labels, weights

    return make_dataset


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_good_state(quiet, stand_in):
    model = stand_in.new_classifier()
    with pytest.raises(TrainingStoppedError, match=r"loss=nan at step 7\. .*step-000000004\.npz") as caught:
        fit(model, bad_batches_from(stand_in, first_bad=6), 20, **quiet)
    assert "smaller `learning_rate`" in str(caught.value)
    assert "`restart=True` or in another folder" in str(caught.value)
    assert [p.name for p in (quiet["run_dir"] / "checkpoints").iterdir()] == ["step-000000004.npz"]
    # The kept state is good: with good data the run continues from it.
    whole, again = stand_in.new_classifier(), stand_in.new_classifier()
    fit(again, bad_batches_from(stand_in, first_bad=99), 20, **quiet)
    fit(whole, bad_batches_from(stand_in, first_bad=99), 20, **{**quiet, "run_dir": quiet["run_dir"] / "whole"})
    stand_in.assert_same_bits(again, whole)


@pytest.mark.parametrize("change", [{"restart": True}, {"run_dir": "another"}])
def test_a_stopped_run_begins_again_as_its_message_suggests(quiet, stand_in, tmp_path, change):
    with pytest.raises(TrainingStoppedError):
        fit(stand_in.new_classifier(), bad_batches_from(stand_in, first_bad=6), 20, **quiet)
    options = {**quiet, **change, **({"run_dir": tmp_path / "another"} if "run_dir" in change else {})}
    history = fit(stand_in.new_classifier(peak=0.01), stand_in.batches_from, 10, **options)
    assert [row["step"] for row in history.rows] == [5, 10]
    assert history.rows[0]["learning_rate"] <= 0.01


@pytest.mark.parametrize("harm", ["deleted", "shortened", "emptied", "garbled", "a line changed"])
def test_a_lost_or_changed_history_costs_its_rows_but_not_the_run(quiet, stand_in, tmp_path, caplog, harm):
    whole, again = stand_in.new_classifier(), stand_in.new_classifier()
    expected = fit(whole, stand_in.batches_from, 20, **{**quiet, "run_dir": tmp_path / "whole"})
    with pytest.raises(CrashError):
        fit(stand_in.new_classifier(), stand_in.batches_from, 20, **quiet, callbacks=[stand_in.Interrupt(14, crash)])
    file = quiet["run_dir"] / "history.jsonl"
    content = file.read_bytes()
    if harm == "deleted":
        file.unlink()
    else:
        harmed = {
            "shortened": content[: content.index(b"\n") + 9],
            "emptied": b"",
            "garbled": b"\xff" * len(content),
            "a line changed": content.replace(b"{", b"[", 1),
        }
        file.write_bytes(harmed[harm])
    history = fit(again, stand_in.batches_from, 20, **quiet)
    kept = {"shortened": [5], "a line changed": [10]}.get(harm, [])
    assert [row["step"] for row in history.rows] == [*kept, 15, 20]
    assert history.rows == lines_of(quiet["run_dir"])
    assert f"{len(kept)} rows remain of its history" in caplog.text
    stand_in.assert_same_bits(again, whole)
    assert without_timing(history.rows[-2:]) == without_timing(expected.rows[-2:])


def test_a_weight_that_is_not_a_number_is_never_saved(quiet, stand_in):
    def break_a_weight(model):
        kernel = model.get_layer("logits").kernel
        kernel.assign(kernel * np.nan)

    with pytest.raises(TrainingStoppedError, match=r"logits/kernel at step 8\. .*step-000000004\.npz"):
        fit(
            stand_in.new_classifier(),
            stand_in.batches_from,
            20,
            callbacks=[stand_in.Interrupt(8, break_a_weight)],
            **quiet,
        )


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_ctrl_c_and_sigterm_save_the_state_and_report_it(quiet, stand_in, tmp_path, capsys, number, error):
    def interrupt(model):
        os.kill(os.getpid(), number)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    options = {**quiet, "show_progress": True}
    with pytest.raises(error):
        fit(
            stand_in.new_classifier(),
            stand_in.batches_from,
            12,
            callbacks=[stand_in.Interrupt(6, interrupt)],
            **options,
        )
    assert "Stopped at step 6 of 12. To continue, repeat the same call or command." in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    whole, again = stand_in.new_classifier(), stand_in.new_classifier()
    fit(again, stand_in.batches_from, 12, **options)
    assert "Continuing from step 6 of 12" in capsys.readouterr().err
    fit(whole, stand_in.batches_from, 12, **{**quiet, "run_dir": tmp_path / "whole"})
    stand_in.assert_same_bits(again, whole)


def test_data_that_ends_too_early_is_refused(quiet, stand_in):
    with pytest.raises(BadInputError, match=r"phase 'train' must last for its 9 steps\. Received: 6 batches"):
        fit(stand_in.new_classifier(), lambda start: stand_in.batches_from(start, 6), 9, **quiet)


def test_a_callback_can_end_the_run(quiet, stand_in):
    def stop(model):
        model.stop_training = True

    model = stand_in.new_classifier()
    history = fit(model, stand_in.batches_from, 12, callbacks=[stand_in.Interrupt(6, stop)], **quiet)
    assert (history.steps, history.stopped_early) == (6, True)


def test_accumulated_batches_train_as_one_large_batch(quiet, stand_in, tmp_path):
    def joined_from(start):
        for number in range(start, 100):
            parts = [stand_in.numbered_batch(2 * number + half) for half in (0, 1)]
            inputs = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
            yield inputs, np.concatenate([part[1] for part in parts])

    large = stand_in.new_classifier(dropout=0.0)
    small = stand_in.new_classifier(dropout=0.0, accumulation_steps=2)
    fit(large, joined_from, 8, **quiet)
    fit(small, stand_in.batches_from, 16, **{**quiet, "run_dir": tmp_path / "small"})
    for one, other in zip(large.trainable_variables, small.trainable_variables, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"checkpoint_every": 0},
        {"log_every": 0},
        {"validate_every": 0, "validate": len},
        {"early_stopping_patience": 3},
        {"early_stopping_patience": 0, "validate": len},
        {"steps": None},
        {"steps": 0},
    ],
)
def test_an_invalid_argument_is_refused_before_anything_is_written(quiet, stand_in, arguments):
    with pytest.raises(ValueError, match="Received: "):
        fit(stand_in.new_classifier(), stand_in.batches_from, **{"steps": 5, **quiet, **arguments})
    assert not quiet["run_dir"].exists()


def test_a_model_that_is_not_compiled_is_refused(quiet, stand_in):
    inputs = keras.Input((2,))
    with pytest.raises(ValueError, match="must be compiled"):
        fit(keras.Model(inputs, keras.layers.Dense(1)(inputs)), stand_in.batches_from, 5, **quiet)
