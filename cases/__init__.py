"""The specimens: plain PyTorch that a student can read, one folder a family, ``scratch`` beside ``concise``.

A specimen imports nothing of the harness; the ``CASES`` of a folder's ``__init__`` say what each one claims.
"""
