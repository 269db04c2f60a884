"""Documents and next-sentence pairs: reading text, pairing segments, and batches for pretraining."""
