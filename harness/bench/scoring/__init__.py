"""Scoring of generated kernels: whether an implementation is right, and its speed relative to a reference."""
