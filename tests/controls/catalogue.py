"""All controls and the oracles' sample inputs: one module here for each module of contracts."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from controls.control import Control

MODULES: dict[str, ModuleType] = {
    path.stem: import_module(f"controls.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem not in {"catalogue", "control"}
}

CONTROLS: list[Control] = [control for module in MODULES.values() for control in module.CONTROLS]

ORACLES: dict[str, tuple[Any, ...]] = {
    oracle if "." in oracle else f"{name}.{oracle}": inputs
    for name, module in MODULES.items()
    for oracle, inputs in module.ORACLES.items()
}
"""Inputs of every oracle by module and variable, such as ``entropy.entropy_oracle``."""
