"""Related pieces run in the same process, unless another piece would wait too long."""

from pathlib import Path

import pytest
from samples.in_step import first_one_waits, in_step

from harness.execution.affinity import AHEAD, AffinityPool

pytestmark = pytest.mark.usefixtures("workplace")


def test_kindred_pieces_are_done_by_one_process() -> None:
    """The other process is busy meanwhile. Results come in the requested order."""
    order = list(range(20))
    with AffinityPool(2, print, "ready") as processes:
        futures = processes.submit(in_step, order, [index % 2 for index in order])
        done = [future.result() for future in futures]
    assert [index for index, _ in done] == order
    processes_of = [{process for index, process in done if index % 2 == kin} for kin in (0, 1)]
    assert all(len(some) == 1 for some in processes_of)
    assert processes_of[0] != processes_of[1]


def test_a_process_goes_only_so_far_ahead() -> None:
    """Beyond that, it takes remaining pieces. A failure affects only its piece."""
    order = list(range(3 * AHEAD))
    with AffinityPool(2, print, "ready") as processes:
        futures = processes.submit(first_one_waits, order, [index % 2 for index in order])
        assert futures[-2].result(timeout=120) == order[-2]
        with pytest.raises(ZeroDivisionError):
            futures[1].result(timeout=120)
        assert futures[4].done()
        assert not futures[0].done()
        Path("go").touch()
        assert futures[0].result(timeout=120) == 0
