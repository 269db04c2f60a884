"""Labelled rows: reading tables and tagged files, label names, and batches for fine-tuning."""
