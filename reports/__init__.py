"""The logbook: turns the records of a run into frames, tables, figures and one page. It reads only records."""
