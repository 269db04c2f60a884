"""Readers and writers for each checkpoint layout, one module per layout or file type."""
