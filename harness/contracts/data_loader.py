"""User-supplied data loaders: each sample once and complete, in the promised order, with no resources left in use.

The implementation is a factory of loaders. A keyword in its signature is a promise that the laws check. A data set is
wrapped in a ``DataLoader``, and a loader object is used directly. The laws draw no tensors: they try requests with and
without workers, and describe wrong results in words.
"""

from harness.contracts.building_blocks.delivery import batch, ending, order, randomness, samples, wholeness
from harness.contracts.building_blocks.delivery.asking import asks
from harness.contracts.building_blocks.usual_laws import defined_in
from harness.laws import Contract
from harness.laws.contract import Anything

_MODULES = (samples, wholeness, order, randomness, batch, ending)

DATA_LOADER = Contract(
    "data_loader",
    signature="([batch_size, num_workers, shuffle, seed, drop_last, epoch, rank, world_size]) -> iterable of batches",
    summary="batches of a data set, over workers, epochs and ranks; also accepts a data set or a loader object",
    domain="requests with 0, 2 and 3 workers, with and without shuffling, 1 to 3 ranks, epochs 0 and 1",
    inputs=asks(num_workers=(0, 2)),
    laws=tuple(law for module in _MODULES for law in defined_in(vars(module))),
    conventions={
        "reference": Anything("file.py:function that returns a sample for its index, or a sequence of samples"),
        "order": ("seed", "workers"),
    },
    dtypes=("float32",),
    examples=1,
    form="delivery",
)
