"""Benchmarks, one module for each question. Each prints one JSON object on standard output."""
