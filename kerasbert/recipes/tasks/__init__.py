"""What is particular to each task of fine-tuning: one module per task, for `fine_tune`, `evaluate` and `predict`."""
