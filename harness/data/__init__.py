"""Fashion-MNIST: search, validation and reading, and a synthetic stand-in.

``fashion_mnist`` finds the data set, ``idx`` names and reads its files, ``cache`` stores them unpacked,
and ``synthetic`` makes the stand-in. Loaders are timed on ``images``.
"""
