"""The errors that a user's own input can cause.

Every message states the rule, what came, and the remedy. The command line prints it as one line and exits with 1.
Wrong arguments in code stay plain `ValueError` or `TypeError`.
"""


class BadInputError(ValueError):
    """A file, a folder, a vocabulary, a checkpoint or a text that cannot be used as asked."""


class TrainingStoppedError(RuntimeError):
    """Training cannot go on, such as on a loss that is not a number. The last good checkpoint is kept."""
