"""tf.Example records of the pipelines: how documents, rows and pretraining instances are written and read."""
