"""Kernels as generators write them: a plain check says which are right."""

from pathlib import Path

import pytest

from harness.isolation.limits import Limits
from harness.record import Status
from harness.verdict.campaign import Campaign

KERNELS = """
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, width=None):
        super().__init__()
        assert width == 33

    def forward(self, x):
        return torch.softmax(x, dim=-1)


def get_init_inputs():
    return [33]


def twice(x):
    torch.softmax(x, dim=-1)
    return torch.softmax(x, dim=-1)


def rough(x):
    return torch.softmax(x, dim=-1) * 1.001


def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)


class Unmade(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        return torch.softmax(x, dim=-1)
"""

STATUSES = {
    "ModelNew": Status.HOLDS,
    "twice": Status.HOLDS,
    "rough": Status.BROKEN,
    "naive": Status.BROKEN,
    "Unmade": Status.ERROR,
}
"""The status of the law ``value`` for each kernel; one of the classes cannot be made with the file's arguments."""


@pytest.mark.parametrize("name", STATUSES)
def test_a_plain_check_says_which_kernels_are_right(workplace: Path, one_worker: None, name: str) -> None:
    """A class is made with the result of `get_init_inputs` of its file, as in public kernel benchmarks."""
    (workplace / "kernels.py").write_text(KERNELS, encoding="utf-8")
    campaign = Campaign(f"kernels.py:{name}", "softmax", laws=["value"], dtypes=["float32"])
    assert [verdict.status for verdict in campaign.run(limits=Limits())] == [STATUSES[name]]
