"""Which functions do TFX's Trainer and Tuner call? One module per pipeline, and what both need to find and store."""
