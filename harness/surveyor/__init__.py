"""Finding the worst: breaking points along rays, a search in the ordinal space of the format, and accumulators.

=====================================  =========================================================================
:mod:`~harness.surveyor.boundary`      the first place on a line of integers at which something fails
:mod:`~harness.surveyor.breaking`      laws followed along the rays of a contract
:mod:`~harness.surveyor.closed_form`   where theory says they break
:mod:`~harness.surveyor.genome`        inputs as integers that a search can change
:mod:`~harness.surveyor.mutation`      the changes
:mod:`~harness.surveyor.search`        thousands of rows at a time, the best of them changed
:mod:`~harness.surveyor.worst`         what a search found, confirmed and recorded
:mod:`~harness.surveyor.profile`       the deviation against magnitude, and its distribution
:mod:`~harness.surveyor.passage`       what is computed on the way along a ray
:mod:`~harness.surveyor.accumulator`   how sums are formed
:mod:`~harness.surveyor.plan`          what to explore, as plain data
:mod:`~harness.surveyor.explore`       its parts, listed
:mod:`~harness.surveyor.part`          one of them
:mod:`~harness.surveyor.discovery`     what came out, by kind
=====================================  =========================================================================

The rays themselves are in :mod:`harness.laws.standard_rays`: contracts declare them.
"""
