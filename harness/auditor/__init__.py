"""A whole training step beside a shadow in wider arithmetic: which line loses the digits, and how far others are.

``watching`` is the mode that sees every operation; ``operator`` says what torch's schema tells of one, ``line`` who
asked for it. ``shadow`` keeps a storage in wider arithmetic beside each of the step's own, ``replay`` carries an
operation out on them, ``exact`` in balls, by the definitions of ``ball``, ``ball_by_rows`` and ``ball_by_place``;
``measure`` says how far the two are apart. An ``operation`` is what is kept of one, by ``noting``; ``rules`` are what
needs no shadow. ``end`` is what counts: losses, gradients, updates, buffers, outputs. From an end that is wrong
``blame`` goes back along the writers; ``wording`` says what it found, and ``headroom`` what is near. ``narrowing``
computes it as if in 16 bits. ``audit`` is the context, and ``plan`` the same as work that a process of its own does.
"""
