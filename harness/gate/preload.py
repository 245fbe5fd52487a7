"""Imports of the warm parent before it forks the arms: torch, the harness, and imports of the cases, but no case.

The parent computes on one thread and has run no operation. A fork is therefore safe, and every arm begins with the same
memory. This is a separate module because a forkserver accepts only names of modules to import.
"""

import contextlib
import gc
import os
from importlib import import_module
from pathlib import Path

import torch

from harness.gate.arm import IMPORTS

torch.set_num_threads(1)
for name in Path(os.environ[IMPORTS]).read_text(encoding="utf-8").splitlines():
    # The arms import a module themselves if it cannot be imported here by its name.
    with contextlib.suppress(ImportError):
        import_module(name)
gc.collect()
gc.freeze()
