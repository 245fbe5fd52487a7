"""Shared parts of the commands: groups of options, the layout of the help, the run to write to, and the runner."""
