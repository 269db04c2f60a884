"""The commands of the `kerasbert` command line, one module per command."""
