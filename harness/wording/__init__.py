"""Sentences, numbers and blocks of text for records: terminal, report, Markdown and notebook use the same words."""
