"""Which TensorFlow functions are part of every exported graph? Text inputs, input checks, words and answer search."""
