"""Verified fixes: rewrites of faulty source code, tried in turn, and judged by laws or by an audit.

* ``code`` finds the function in its file; ``rules`` and ``unsafe_rules`` rewrite it, and ``candidates`` orders them.
* ``search`` takes the first candidate that leaves nothing wrong; ``law_judge`` decides by the laws of a contract. The
  judge of a training step is in ``harness.auditor``.
* ``proposal`` has the options of the commands, and shows and applies a fix.
"""
