"""How do tensors travel? The dtypes, and the tensors in protocol buffer messages and in JSON."""
