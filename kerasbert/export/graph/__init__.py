"""TensorFlow functions that become part of the exported graph: windows, words, answer search and input checks."""
