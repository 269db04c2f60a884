"""The models of the local server: configuration, versions, loading, signatures and batching."""
