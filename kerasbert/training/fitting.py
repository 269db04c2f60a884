"""Trains a compiled model, for pretraining and fine-tuning, and resumes after a kill.

For the loop itself, see run/loop.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import keras

from kerasbert.training.run.history import History
from kerasbert.training.run.loop import Settings, TrainingRun, Validate
from kerasbert.training.run.phases import MakeDataset, Phase, as_phases


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
    restart: bool = False,
    tensorboard: bool = True,
    show_progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Train a compiled model. After a kill, the same call continues from the last training state in `run_dir`.

    A run that was killed at any moment and called again ends with bit-identical weights on the same machine, backend
    and number of cores: a training state contains weights, optimizer, random seeds, running metrics and position.

    Args:
        model: built and compiled, e.g. by `compile_pretrainer`. When a run continues, its weights and seeds are set to
            those of the training state.
        make_dataset: maps a batch number to the batches from that one on (see `Phase`), or several `Phase`s.
        steps: batches to train on, with a single `make_dataset`. With gradient accumulation, one update takes several
            batches.
        run_dir: folder for `checkpoints/`, `history.jsonl` and `tensorboard/`.
        checkpoint_every: steps between training states. One is also written after the last step.
        log_every: steps over which the metrics of one "train" row are taken. A phase's last step ends a row too.
        validate: maps the model to metrics by name, e.g. `lambda model: evaluate_classifier(model, held_out)`. Metrics
            that are not single numbers are left out of the history.
        validate_every: steps between validations. None validates at the end of each phase. The last step always
            validates.
        monitor: the validation metric that decides which row is best. Lower is better for losses and errors, higher for
            all others.
        early_stopping_patience: validations without an improvement after which training stops. If set, the model ends
            with the weights of the best validation.
        seed: seed for Python, NumPy and the backend, set by `keras.utils.set_random_seed`. Initial weights and dropout
            seeds are drawn when the model is created: set the seed before that too.
        restart: remove the training states in `run_dir` and begin at the first step, instead of continuing.
        tensorboard: whether to write scalars for TensorBoard.
        show_progress: whether to show progress on standard error: a bar in a terminal, otherwise a line every
            10 seconds.
        callbacks: Keras callbacks. An epoch ends with each validation or, without `validate`, with each "train" row.
            Its logs are the running training metrics, `learning_rate`, and the validation's metrics as `val_*`. Batches
            are numbered over the whole run. A run that continues sets the model to the training state after
            `on_train_begin` and keeps the numbers of its epochs. The state of the callbacks themselves is not saved.
            The last training state is written after `on_train_end`.

    Returns:
        The history of the whole run, including the steps before a kill.

    Raises:
        BadInputError: the folder cannot be read or written, its training state has other shapes or phases, or the data
            ends too early.
        TrainingStoppedError: the loss or a weight is not a finite number. The last good state is kept.
        KeyboardInterrupt: after Ctrl-C, when the state has been saved.
        SystemExit: after SIGTERM, when the state has been saved.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from kerasbert.training import adamw, compile_classifier
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        >>> compile_classifier(model, adamw(1e-2), "single_label_classification")
        >>> batches = lambda start: ((np.ones((4, 1), "float32"), np.array([0, 1, 1, 1])) for _ in range(start, 6))
        >>> history = fit(model, batches, 6, run_dir=tempfile.mkdtemp(), log_every=3, show_progress=False)
        >>> [row["step"] for row in history.rows]
        [3, 6]
    """
    intervals = {"checkpoint_every": checkpoint_every, "log_every": log_every, "validate_every": validate_every}
    for name, value in intervals.items():
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}. It is a number of steps.")
    if early_stopping_patience is not None and validate is None:
        raise ValueError(
            "`early_stopping_patience` must come with `validate`. "
            f"Received: early_stopping_patience={early_stopping_patience} alone. Pass `validate`, or leave out both."
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
    return TrainingRun(model, as_phases(make_dataset, steps), settings, callbacks).train(restart)
