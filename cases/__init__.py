"""The specimens: plain PyTorch that a student can read, one folder per family, ``scratch`` next to ``concise``.

A specimen does not import the harness; the ``CASES`` in a folder's ``__init__`` declare what each specimen claims.
"""
