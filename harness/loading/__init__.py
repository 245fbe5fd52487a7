"""Running loaders: their samples, their speed, their use of resources, and their faults.

A ``reader`` makes the loaders of a ``source`` and runs each ``exercise`` in their process, under ``supervision``.
``transfer`` says how results are validated that come from another process, and a ``delivery`` caches them for the laws.
A ``fault`` is a sentence, and ``faulty_sample`` finds its sample. ``content`` identifies samples, ``tagged`` adds the
index of each sample and its random draws, and ``generators`` finds the random generators that a data set uses.

``throughput`` measures how fast a loader delivers, and a ``budget`` breaks down where its time goes, from ``trace`` and
``stack``. ``accounting`` counts the CPU time and memory of this process and its workers.
"""
