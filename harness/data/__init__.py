"""Fashion-MNIST: search, validation and reading, and a synthetic stand-in.

``fashion_mnist`` finds the data set, ``layout`` names its files, ``idx`` reads them, ``cache`` stores them unpacked,
and ``synthetic`` makes the stand-in. Loaders are timed on ``images``.
"""
