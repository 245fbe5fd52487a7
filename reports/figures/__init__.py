"""The figures of the report by subject, each from frames or records.

`axis` and `chart` contain the shared code, and `speed_comparison` has each sentence that compares speeds.
"""
