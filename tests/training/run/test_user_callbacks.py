"""Callbacks of Keras see in `kerasbert.training.fit` what they see in `keras.Model.fit`."""

import csv

import keras
import numpy as np
import pytest

from kerasbert.errors import BadInputError
from kerasbert.training import Phase, adamw, compile_classifier, fit

pytestmark = pytest.mark.backend


class Recorder(keras.callbacks.Callback):
    """Records what it is told."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append(("train begins", self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch begins", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch ends", epoch, set(logs)))

    def on_train_end(self, logs=None):
        self.calls.append(("train ends", set(logs)))


class StopAfter(keras.callbacks.Callback):
    """Ends the run with one of its epochs."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


def constant_rate(model, rate=0.05):
    compile_classifier(model, adamw(rate), "single_label_classification")
    model.run_eagerly = keras.backend.backend() == "tensorflow"
    return model


@pytest.fixture
def arguments(tmp_path):
    return {"run_dir": tmp_path / "run", "log_every": 2, "tensorboard": False, "show_progress": False}


def trained_weights(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]


def worse_each_time():
    """Return a function that measures a loss of 1, 2, 3 and so on."""
    losses = iter(range(1, 100))
    return lambda model: {"loss": float(next(losses))}


def test_epochs_are_numbered_from_0_and_end_with_validations(arguments, stand_in):
    recorder, logs = Recorder(), {"loss", "accuracy", "learning_rate", "val_loss"}
    validation = {"validate": worse_each_time(), "validate_every": 3}
    fit(stand_in.new_classifier(), stand_in.batches_from, 8, callbacks=[recorder], **validation, **arguments)
    epochs = [call for epoch in range(3) for call in [("epoch begins", epoch), ("epoch ends", epoch, logs)]]
    assert recorder.calls == [("train begins", 3, 3), *epochs, ("train ends", logs)]


def test_epochs_end_with_the_rows_of_all_phases_without_validation(arguments, stand_in):
    recorder, logs = Recorder(), {"loss", "accuracy", "learning_rate"}
    phases = [Phase("short", stand_in.batches_from, 3), Phase("long", stand_in.batches_from, 2)]
    history = fit(stand_in.new_classifier(), phases, callbacks=[recorder], **arguments)
    ends = [call for call in recorder.calls if call[0] == "epoch ends"]
    assert ends == [("epoch ends", epoch, logs) for epoch in range(len(history.rows))]


def test_a_run_that_continues_goes_on_with_the_number_of_its_epoch(arguments, stand_in):
    recorder, begun = Recorder(), lambda start: stand_in.batches_from(start, 7)
    with pytest.raises(BadInputError, match="must last"):
        fit(stand_in.new_classifier(), begun, 10, checkpoint_every=5, **arguments)
    fit(stand_in.new_classifier(), stand_in.batches_from, 10, callbacks=[recorder], **arguments)
    assert [call[1] for call in recorder.calls if call[0] == "epoch begins"] == [2, 3, 4]


def test_callbacks_do_not_change_the_weights(arguments, stand_in, tmp_path):
    watched, alone = stand_in.new_classifier(), stand_in.new_classifier()
    fit(watched, stand_in.batches_from, 5, callbacks=[Recorder(), stand_in.Interrupt(3, lambda _: None)], **arguments)
    fit(alone, stand_in.batches_from, 5, **{**arguments, "run_dir": tmp_path / "alone"})
    stand_in.assert_same_bits(watched, alone)


def test_early_stopping_ends_the_run_with_its_best_weights(arguments, stand_in):
    weights = {}

    def validate(model):
        weights[len(weights)] = trained_weights(model)
        return {"loss": float(len(weights))}

    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    every_2 = {"validate": validate, "validate_every": 2}
    model = stand_in.new_classifier()
    history = fit(model, stand_in.batches_from, 20, callbacks=[stopping], **every_2, **arguments)
    assert (history.steps, history.stopped_early) == (6, True)
    again = stand_in.new_classifier()
    fit(again, stand_in.batches_from, 20, **every_2, **arguments)
    for trained in (model, again):  # The second call finds the run finished.
        for one, best in zip(trained_weights(trained), weights[0], strict=True):
            np.testing.assert_array_equal(one, best)


def test_a_model_that_a_callback_stopped_trains_again(arguments, stand_in, tmp_path):
    model = stand_in.new_classifier()
    stopped = fit(model, stand_in.batches_from, 8, callbacks=[StopAfter(1)], **arguments)
    again = fit(model, stand_in.batches_from, 8, **{**arguments, "run_dir": tmp_path / "again"})
    assert [(history.steps, history.stopped_early) for history in (stopped, again)] == [(4, True), (8, False)]


def test_the_callbacks_of_keras_work(arguments, stand_in, tmp_path):
    model = constant_rate(stand_in.new_classifier())
    callbacks = [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5", "val_loss", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    validation = {"validate": worse_each_time(), "validate_every": 2}
    history = fit(model, stand_in.batches_from, 6, callbacks=callbacks, **validation, **arguments)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [(row["epoch"], float(row["val_loss"])) for row in rows] == [("0", 1.0), ("1", 2.0), ("2", 3.0)]
    rates = [row["learning_rate"] for row in history.rows if row["split"] == "train"]
    np.testing.assert_allclose(rates, [0.05, 0.05, 0.025])
    assert (tmp_path / "best.weights.h5").exists()
