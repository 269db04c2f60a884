"""The implementation of `fit`: the loop over steps, its phases, progress, history and training states."""
