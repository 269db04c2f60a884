"""Compares the speed of inference with that of other libraries; see docs/inference_speed.md."""
