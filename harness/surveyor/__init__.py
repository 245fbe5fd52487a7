"""Finding the worst: breaking points along rays, a search in the ordinal space of the format, and accumulators.

====================================  ==========================================================================
:mod:`~harness.surveyor.boundary`     the first place on a line of integers at which something fails
:mod:`~harness.surveyor.breaking`     laws followed along the rays of a contract
:mod:`~harness.surveyor.closed_form`  where theory says they break
====================================  ==========================================================================
"""
