"""One module per way to run a model. Each runs in a process and an environment of its own; see `worker_loop`."""
