"""The functions that TFX's Trainer and Tuner call: one module per pipeline, and code that both share."""
