"""What the warm parent has imported when it forks the arms: torch, the instrument, what cases import, and no case.

It computes on one thread and has run no operation, so that a fork is safe and every arm begins with the same memory. It
is a module of its own since a forkserver is told what to do before it forks by the names of modules that it imports.
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
    # What cannot be imported here by its name, the arms import themselves, or not at all.
    with contextlib.suppress(ImportError):
        import_module(name)
gc.collect()
gc.freeze()
