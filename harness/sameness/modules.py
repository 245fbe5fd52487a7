"""Modules of the user, which each side of a comparison imports separately."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from harness.calling.modes import seed_all
from harness.compat.installed import package_folders, python_folders
from harness.record import SEED

_INSTALLED = (*python_folders(), *package_folders())


def is_user_module(name: str) -> bool:
    """Whether a loaded module is neither installed nor of the harness."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return bool(file) and is_user_file(str(file)) and name.split(".")[0] != "harness"


def is_user_file(path: str) -> bool:
    """Whether a file is not installed."""
    return not path.startswith(_INSTALLED)


@contextmanager
def separate_modules(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Import and run code with separate modules of the user, and with the seed of both sides."""
    before = set(sys.modules)
    sys.modules.update(modules)
    seed_all(SEED)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if is_user_module(name):
                modules[name] = sys.modules.pop(name)
