"""Tensors in protocol buffer messages, and the dtypes of TensorFlow."""
