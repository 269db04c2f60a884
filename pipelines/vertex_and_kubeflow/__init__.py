"""Compiles the pipelines for Vertex AI and Kubeflow Pipelines, and submits them."""
