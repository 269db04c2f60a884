"""`python -m kerasbert`: the same as the `kerasbert` command."""

from kerasbert.cli import main

main()
