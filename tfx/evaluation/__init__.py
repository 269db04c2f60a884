"""TFMA metrics and views with which the fine-tuning pipeline evaluates a model."""
