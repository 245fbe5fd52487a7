"""Building blocks for the laws of data loaders: the requests, the measurements, and the laws by topic.

``samples`` has the laws about the samples of an epoch, ``wholeness`` about their content, and ``order`` about their
order. ``randomness`` has the laws about random numbers, and ``batch`` about delivered batches. ``ending`` has the laws
about epochs that end early, resume or fail, and about resources that stay in use.
"""
