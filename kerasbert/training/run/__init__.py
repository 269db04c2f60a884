"""How does `fit` run? The loop over steps, its phases, progress, history and training states."""
