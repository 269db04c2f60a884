"""The models: settings files, versions, loading, signatures, batching and warm-up."""
