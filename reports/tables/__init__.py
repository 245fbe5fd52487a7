"""The tables of the report: one module per subject, each from frames or records to :class:`reports.table.Table`."""
