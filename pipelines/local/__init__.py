"""How does a pipeline run on this machine? Runs its components one after the other and summarizes each run."""
