"""Use of the harness in a user's project: its settings and targets, and the files that ``harness init`` writes."""
