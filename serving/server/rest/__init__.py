"""The REST front of the local server: routes, request bodies and TensorFlow Serving's JSON format."""
