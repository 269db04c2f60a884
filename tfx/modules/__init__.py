"""What do the boxes call? Training functions, and the reading and writing that components share. No pipelines."""
