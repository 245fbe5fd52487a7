"""What the laws of loaders are made of: the asks on which they are held, what they measure, and the laws by theme.

``samples`` has what an epoch delivers, ``wholeness`` what a sample is, ``order`` in which order they come,
``randomness`` with which random numbers, ``batch`` what becomes of a batch, and ``ending`` what becomes of an epoch
that is left, resumed or fails, and what is left of it.
"""
