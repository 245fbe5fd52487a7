"""The sections of a report, a module per theme, and their parts for a reading.

A new figure or table is a ``yield`` in its section. A new section also needs a place on a sheet
(:mod:`reports.section_order`) or on the first layer (:mod:`reports.front`).
"""
