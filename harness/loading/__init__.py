"""Running loaders: their samples, their speed, their use of resources, and their faults.

A ``reader`` makes the loaders of a ``source`` and runs each ``exercise`` in their process. ``crossing`` transports the
results to another process. A ``delivery`` caches them for the laws.
"""
