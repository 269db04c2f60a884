"""Runs a pipeline on this machine, one component after the other, and summarizes the run."""
