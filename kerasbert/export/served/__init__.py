"""What each kind of model answers over the wire: one module per task, with its signatures."""
