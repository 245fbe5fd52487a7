"""The gate decides whether a change may replace its baseline: numerics and counts exactly, time by statistics.

Three gates, one exit code, one sentence a finding:

* numerics: a run against a baseline that is committed (:mod:`harness.gate.numerics`, :mod:`harness.gate.baseline`);
* counts: operators, bytes and batches, against the same baseline (:mod:`harness.gate.counts`);
* time: the working tree against another commit, in couples of live processes (:mod:`harness.gate.paired_timing`).

Importing this package imports no torch.
"""
