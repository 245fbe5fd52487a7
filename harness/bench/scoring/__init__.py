"""Scoring: is an implementation right, and how fast is it beside a reference? For evaluations of generated kernels."""
