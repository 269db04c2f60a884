"""The version of kerasbert, in a file of its own so that a build reads it without importing Keras."""

__version__ = "0.1.0"
