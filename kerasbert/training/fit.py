"""Trains a compiled model, for pretraining and fine-tuning alike, so that a kill costs nothing but the time since.

The loop behind it: see training_run.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import keras

from kerasbert.training.history import History
from kerasbert.training.phase import MakeDataset, Phase, as_phases
from kerasbert.training.training_run import Settings, TrainingRun, Validate


def fit(
    model: keras.Model,
    make_dataset: MakeDataset | Sequence[Phase],
    steps: int | None = None,
    *,
    run_dir: str | os.PathLike[str],
    checkpoint_every: int = 500,
    log_every: int = 50,
    validate: Validate | None = None,
    validate_every: int | None = None,
    monitor: str = "loss",
    early_stopping_patience: int | None = None,
    seed: int | None = None,
    resume: bool = True,
    tensorboard: bool = True,
    show_progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Trains a compiled model and keeps `run_dir` such that the same call goes on after a kill.

    A run that was killed at any moment and called again ends with bit-identical weights on the same machine, backend
    and number of cores: a training state holds weights, optimizer, random seeds, running metrics and position.

    Args:
        model: built and compiled, such as by `compile_pretrainer`. Where a run goes on, its weights and seeds become
            those of the training state.
        make_dataset: maps a batch number to the batches from that one on (see `Phase`), or several `Phase`s.
        steps: batches to train on, with a single `make_dataset`. With gradient accumulation an update takes several.
        run_dir: folder for `checkpoints/`, `history.jsonl` and `tensorboard/`.
        checkpoint_every: steps between training states. The last step writes one too.
        log_every: steps over which the metrics of one "train" row are taken. A phase's last step ends a row too.
        validate: maps the model to metrics by name, such as `lambda model: evaluate_classifier(model, held_out)`.
            Metrics that are no single number stay out of the history.
        validate_every: steps between validations; None validates at the end of each phase. The last step validates too.
        monitor: the validation figure that tells the best row: lower is better for losses and errors, else higher.
        early_stopping_patience: validations without a better figure after which the run ends. With it, the model ends
            with the weights of the best validation.
        seed: for Python, NumPy and the backend, by `keras.utils.set_random_seed`. Initial weights and dropout seeds are
            drawn when the model is made: set the seed before that too.
        resume: go on from the newest training state in `run_dir`. False removes the states and begins anew.
        tensorboard: write scalars for TensorBoard.
        show_progress: a bar on standard error, or a plain line every 10 seconds where that is no terminal.
        callbacks: Keras callbacks; an epoch is what lies between two "train" rows. Their own state is not kept.

    Returns:
        The history of the whole run, that before a kill included.

    Raises:
        BadInputError: the folder cannot be written, its training state has other shapes or phases, or the data ends.
        TrainingStoppedError: the loss or a weight is not a finite number. The last good state is kept.
        KeyboardInterrupt, SystemExit: after Ctrl-C and SIGTERM, when the state has been saved.
    """
    intervals = {"checkpoint_every": checkpoint_every, "log_every": log_every, "validate_every": validate_every}
    for name, value in intervals.items():
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}. Give a number of steps.")
    if early_stopping_patience is not None and validate is None:
        raise ValueError(
            "`early_stopping_patience` must come with `validate`. "
            f"Received: early_stopping_patience={early_stopping_patience} alone. Give `validate`, or leave both out."
        )
    if seed is not None:
        keras.utils.set_random_seed(seed)
    settings = Settings(
        run_dir=Path(run_dir),
        checkpoint_every=checkpoint_every,
        log_every=log_every,
        validate=validate,
        validate_every=validate_every,
        monitor=monitor,
        early_stopping_patience=early_stopping_patience,
        seed=seed,
        tensorboard=tensorboard,
        show_progress=show_progress,
    )
    return TrainingRun(model, as_phases(make_dataset, steps), settings, callbacks).train(resume)
