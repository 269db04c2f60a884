# Generated from serving/clients/asynchronous/__init__.py by
# tests/serving/clients/make_blocking_clients.py. Edit that file, not this one.
"""The blocking clients, generated from the folder `asynchronous`."""
