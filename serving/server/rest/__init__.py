"""The REST API: paths, bodies, JSON, and the playground page."""
