"""Using the harness in a project: the command ``init``, the files that it writes, and ``[tool.harness]``."""
