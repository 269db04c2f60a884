"""The gRPC API: services and replies."""
