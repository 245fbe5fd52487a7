"""What the warm parent has imported when it forks the arms: torch and the instrument, and no case.

It computes on one thread and has run no operation, so that a fork is safe and every arm begins with the same memory.
"""

import gc

import torch

import harness.contracts
import harness.gate.workload

torch.set_num_threads(1)
# Only now: the modules of the contracts are imported, and every arm finds them in its memory.
harness.contracts.contracts()
gc.collect()
gc.freeze()
