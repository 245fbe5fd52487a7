"""All mutants: one module here for each module of contracts, found by listing the folder."""

from importlib import import_module
from pathlib import Path

from mutants.mutant import Mutant

NO_MUTANTS = {"__main__", "catalogue", "matrix", "mutant"}
"""Modules of this folder without mutants."""

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_MUTANTS)

MUTANTS: list[Mutant] = [mutant for name in MODULES for mutant in import_module(f"mutants.{name}").MUTANTS]
