"""The asynchronous clients. The blocking ones are generated from this folder, line by line."""
