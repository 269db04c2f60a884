"""What runs SavedModels: TensorFlow's C library on its own, or TensorFlow's Python package.

Both use the session runtime of TensorFlow Serving and give the same answers, errors and status codes. The C library
starts faster and takes less memory, because TensorFlow's Python code is not imported.
"""
