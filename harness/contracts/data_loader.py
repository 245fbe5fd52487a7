"""A loader of anybody's: each sample once and whole, in the order that was promised, and nothing left behind.

What implements it makes loaders, and is asked for what it names: naming a keyword is the promise that is checked. A
data set is put into a ``DataLoader``, and a loader is taken as it is. No tensors are drawn: a law is held on what is
asked for, with workers and without, and says in words what came instead.
"""

from harness.contracts.building_blocks.delivery import batch, ending, order, randomness, samples, wholeness
from harness.contracts.building_blocks.delivery.asking import asks
from harness.laws import Contract
from harness.laws.convention import Anything

DATA_LOADER = Contract(
    "data_loader",
    signature="([batch_size, num_workers, shuffle, seed, drop_last, epoch, rank, world_size]) -> iterable of batches",
    summary="batches of a data set, over workers, epochs and ranks; also accepts a data set or a loader object",
    domain="requests with 0, 2 and 3 workers, with and without shuffling, 1 to 3 ranks, epochs 0 and 1",
    inputs=asks(num_workers=(0, 2)),
    laws=(*samples.LAWS, *wholeness.LAWS, *order.LAWS, *randomness.LAWS, *batch.LAWS, *ending.LAWS),
    conventions={
        "reference": Anything("file.py:function that returns a sample for its index, or a sequence of samples"),
        "order": ("seed", "workers"),
    },
    dtypes=("float32",),
    examples=1,
    form="delivery",
)
