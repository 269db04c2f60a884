"""The errors that a user's own input can cause.

Every message states the rule, what was received, and a fix. The command line prints it as one line and exits with 1.
Invalid arguments raise `ValueError`: `BadInputError`, which is one, wherever the value may come from a user's command,
settings or data, and a plain `ValueError` elsewhere.
"""


class BadInputError(ValueError):
    """A file, folder, vocabulary, checkpoint, text or setting that cannot be used."""


class TrainingStoppedError(RuntimeError):
    """Training cannot continue, e.g. because the loss is not a number. The last good checkpoint is kept."""
