"""Vertex AI for the components of a pipeline and for commands: registry, endpoints, jobs, experiments."""
