"""``python -m harness``: the command, where the folder of installed commands is not on the path."""

from harness.cli import main

main()
