"""What a person or a CI reads of records: terminal, notebook, Markdown, JUnit, JSON. Nothing is measured here."""
