"""Runs the pipelines on this machine and summarizes each run."""
