"""Verdicts: one law, one case, one dtype; drawn, made minimal, confirmed, and replayed."""
