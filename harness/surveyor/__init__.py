"""Surveys: breaking points along rays, a search in the ordinal space of the format, and accumulators.

=====================================  =====================================================================
:mod:`~harness.surveyor.boundary`      the first failing place on a line of integers
:mod:`~harness.surveyor.breaking`      breaking points of laws along the rays of a contract
:mod:`~harness.findings.closed_form`   breaking points from theory
:mod:`~harness.surveyor.encoding`        inputs as integers that a search can change
:mod:`~harness.surveyor.search`        a batched search that changes the best rows, and the changes
:mod:`~harness.surveyor.trace`       the computation along a ray
:mod:`~harness.surveyor.accumulator`   the format and order of sums
:mod:`~harness.surveyor.plan`          the plan, as plain data
:mod:`~harness.surveyor.explore`       the list of its parts
:mod:`~harness.surveyor.work_item`     a single part: the witness of a search, the deviation against magnitude
:mod:`~harness.surveyor.discovery`     the results, by kind
=====================================  =====================================================================

Contracts declare their rays, which :mod:`harness.laws.standard_rays` defines.
"""
