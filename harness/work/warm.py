"""What has been imported where trusted workers are forked: torch, on one thread, before any of it has computed.

It is a module since a forkserver is told what to do before it forks by the names of modules that it imports.
"""

import gc
from contextlib import suppress

import torch

with suppress(ImportError):
    # What the first backward pass imports.
    import torch.fx.experimental.symbolic_shapes

torch.set_num_threads(1)
gc.collect()
gc.freeze()
