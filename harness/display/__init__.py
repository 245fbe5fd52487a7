"""Output for users and CI from records: terminal, notebook, Markdown, JUnit XML and JSON."""
