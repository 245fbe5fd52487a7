"""The figures of the report: one module a subject, each from a frame to :class:`reports.figure.Figure`."""
