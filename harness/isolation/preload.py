"""Imports of the process that forks trusted workers: torch, on one thread, before any computation.

A forkserver imports a module before it forks, so this is a module.
"""

import gc
from contextlib import suppress

import torch

with suppress(ImportError):
    # The first backward pass imports modules.
    import torch.fx.experimental.symbolic_shapes

torch.set_num_threads(1)
gc.collect()
gc.freeze()
