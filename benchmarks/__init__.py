"""Which metrics can be measured, and how? One module a question; each prints one JSON object on standard output."""
