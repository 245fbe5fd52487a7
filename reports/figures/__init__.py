"""The figures of the report: one module per subject, each from a frame to :class:`reports.page_part.Figure`."""
