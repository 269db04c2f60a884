"""The `kerasbert` command: one module per sub-command, loaded when it is called.

The only package that may import from every folder. A sub-command reads its options, calls one function of the library
and prints the result; `main` turns errors that a user's input can cause into one line and exit code 1.
"""

from kerasbert.cli.command_line import main

__all__ = ["main"]
