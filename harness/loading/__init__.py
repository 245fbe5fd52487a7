"""Running loaders: what they deliver in what time, what they use, and what they do where they do not deliver.

A ``reader`` makes the loaders of a ``source`` and puts them through an ``exercise`` where they are; ``crossing`` brings
what was read to another process, and a ``delivery`` is what judges see of it.
"""
