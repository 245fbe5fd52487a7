"""``python -m delivery.peers [NAMES]`` in ``tests/``: loaders of other projects against all laws of loaders.

Each loader has a list of laws that it breaks. Any other broken law, or a listed law that holds, is printed and makes
the exit code 1. A loader whose package is not installed is listed with the reason.
"""

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from delivery import peer_loaders
from delivery.judging import IN_TIME_S, said, verdicts
from rich.console import Console

from harness.record import Status

OF_THE_EXTRA = "the extra `peers` has it"
APART = "its 0.13 wants NumPy below 2.2 and huggingface-hub below 1, and has an environment of its own"


@dataclass(frozen=True)
class Peer:
    """A loader of another project.

    ``package`` is the name for the installation, and ``module`` is imported if it has another name. ``breaks`` lists
    the laws that it breaks, with the consequence. ``declares`` has promises of its documentation, as far as a law needs
    them. ``absent`` says where to get the package.
    """

    function: Callable[..., Any]
    package: str
    breaks: Mapping[str, str] = field(default_factory=dict)
    declares: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    absent: str = OF_THE_EXTRA

    @property
    def name(self) -> str:
        """The name of the loader."""
        return self.function.__name__

    @property
    def is_installed(self) -> bool:
        """Whether its package is installed."""
        return find_spec(self.module or self.package.replace("-", "_")) is not None


VIEWS = {"writing_into_a_batch_changes_nothing": "without shuffling, batches are views"}
"""The law that three of them break."""

PEERS = (
    Peer(
        peer_loaders.stateful,
        "torchdata",
        {
            "order_depends_on_the_seed_alone": "with workers a seeded generator gives another order than without",
            "resumes_where_it_stopped": "after resuming at the last batch the next epoch is another than uninterrupted",
        },
    ),
    Peer(peer_loaders.nodes_in_order, "torchdata"),
    Peer(peer_loaders.nodes_by_processes, "torchdata"),
    Peer(peer_loaders.nodes_shuffled, "torchdata"),
    Peer(peer_loaders.nodes_unseeded, "torchdata", {"resumes_where_it_stopped": "its sampler has no state"}),
    Peer(
        peer_loaders.grain_loader,
        "grain",
        {
            "epochs_are_shuffled_anew": "each iteration begins with the seed; epochs are parts of one iteration",
            "writing_into_a_batch_changes_nothing": "a last batch of one sample is a view of it",
        },
    ),
    Peer(
        peer_loaders.grain_map,
        "grain",
        {"epochs_are_shuffled_anew": "each iteration begins with the seed; epochs are parts of one iteration"},
    ),
    Peer(peer_loaders.grain_map_of_epoch, "grain"),
    Peer(peer_loaders.spdl_pipeline, "spdl"),
    Peer(
        peer_loaders.spdl_sampler,
        "spdl",
        {"ranks_share_an_epoch": "what does not fill a round of all ranks is dropped, unless told otherwise"},
    ),
    Peer(peer_loaders.spdl_in_place_of_torch, "spdl"),
    Peer(peer_loaders.light, "light-dataloader", VIEWS),
    Peer(peer_loaders.light_in_place, "light-dataloader", VIEWS),
    Peer(peer_loaders.tensor_loader, "tensorloader", VIEWS),
    Peer(peer_loaders.datasets_by_index, "datasets"),
    Peer(peer_loaders.datasets_iterable, "datasets"),
    Peer(
        peer_loaders.datasets_shuffled,
        "datasets",
        {"order_depends_on_the_seed_alone": "the workers share the shards, so that the order depends on them"},
    ),
    Peer(
        peer_loaders.datasets_resumed,
        "datasets",
        {"resumes_where_it_stopped": "after resuming, every later epoch lacks the samples that came before"},
    ),
    Peer(peer_loaders.webdataset_in_order, "webdataset"),
    Peer(peer_loaders.webdataset_shuffled, "webdataset"),
    Peer(
        peer_loaders.litdata_loader,
        "litdata",
        {"order_depends_on_the_seed_alone": "the workers share the shards, so that the order depends on them"},
    ),
    Peer(
        peer_loaders.mosaic_loader,
        "mosaicml-streaming",
        {
            "resumes_where_it_stopped": "resumed at the end of an epoch, an empty one comes next",
            "nothing_is_left_behind": "each loader leaves files of shared memory open",
        },
        module="streaming",
        absent=APART,
    ),
)
"""The loaders in the order of the page."""


def main(names: Sequence[str]) -> int:
    """Check the named loaders, by default all, against all laws, and return the exit code."""
    out = Console(highlight=False, soft_wrap=True, markup=False)
    gc.collect()
    gc.freeze()  # as in the process in which `harness check` runs a user's loader
    otherwise = 0
    for peer in PEERS:
        if names and not {peer.name, peer.package} & set(names):
            continue
        if not peer.is_installed:
            out.print(f"{peer.package} {peer.name}: not installed; {peer.absent}")
            continue
        began = time.perf_counter()
        reached = verdicts(peer.function, peer.declares)
        seconds = time.perf_counter() - began
        failing = [verdict for verdict in reached if verdict.status.fails]
        held = sum(verdict.status is Status.HOLDS for verdict in reached)
        long = f", beyond {IN_TIME_S:.0f} s" if seconds > IN_TIME_S else ""
        broken = f"{len(failing)} broken" if failing else "nothing"
        out.print(f"{peer.package} {version(peer.package)} {peer.name}: {broken}, {held} held in {seconds:.1f} s{long}")
        for verdict in failing:
            known = peer.breaks.get(verdict.law)
            out.print(f"    {verdict.law}: {said(verdict)}{f' (known: {known})' if known else ' (NEW)'}")
        unseen = set(peer.breaks) - {verdict.law for verdict in failing}
        for law in sorted(unseen):
            out.print(f"    {law}: KEPT, which was broken when this was written")
        otherwise += len(unseen) + sum(verdict.law not in peer.breaks for verdict in failing)
    out.print(f"{otherwise} otherwise than known")
    return int(bool(otherwise))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
