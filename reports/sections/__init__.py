"""The sections of a report, a module a theme: what each shows of a reading.

A new figure or table is a ``yield`` in its section; a new section stands on a sheet too (:mod:`reports.sheet`), or on
the first layer (:mod:`reports.front`).
"""
