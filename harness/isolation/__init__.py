"""Keeping what is checked away from what checks it.

``state`` sees what a call changes besides its result, and puts it back; ``watch`` looks at the calls of one
implementation. ``worker`` is the process in which foreign code runs under limits of time and memory, and ``pool`` the
side that starts such processes, listens to them and goes on when one is lost. What they do is an ``errand`` of pieces:
the verdicts of a campaign, the parts of a survey, or the shards of a proof. Importing ``pool`` imports no torch: the
side that reports does not compute.
"""
