"""The tables of the report: one module a subject, each from frames or records to :class:`reports.table.Table`."""
