"""All wrong functions with the names of their mistakes, in a fixed order."""

from importlib import import_module

from diagnosis.wrong import WRONG, Wrong

for name in ("wrong_losses", "wrong_statistics", "wrong_gradients", "wrong_formulas"):
    import_module(f"diagnosis.{name}")

__all__ = ["WRONG", "Wrong"]
