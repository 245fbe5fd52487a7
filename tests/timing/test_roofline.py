"""The floor of a step: counted by hand, bound by the slower resource, measured on buffers of the right size."""

import pytest

from harness.timing.roofline import (
    CACHED,
    COPY,
    FILLING_BYTES,
    FILLING_SIDE,
    LEAST_BYTES,
    MULTIPLY,
    READ,
    SIDE,
    Rates,
    Work,
    gauges,
    rates,
    work_of_step,
)


def test_the_work_of_a_step_is_what_can_be_counted_by_hand() -> None:
    """For two samples of three features and four classes: 6 features, 2 labels, 16 parameters twice, one loss."""
    assert work_of_step(2, 3, 4, target_bytes=8) == Work(4 * (6 + 2 * 16 + 1) + 2 * 8, 2 * (2 * 2 * 3 * 4))


@pytest.mark.parametrize(("bytes_per_s", "operations_per_s", "floor_s"), [(10.0, 1e9, 10.0), (1e9, 50.0, 4.0)])
def test_the_floor_is_the_longer_of_the_two_times(bytes_per_s: float, operations_per_s: float, floor_s: float) -> None:
    """Memory access and arithmetic overlap."""
    assert Rates(bytes_per_s, operations_per_s).floor_s(Work(100, 200)) == floor_s


def test_the_bandwidth_is_the_faster_rate_of_reading_and_copying() -> None:
    """A floor must not exceed the capability of the machine."""
    assert rates(3.0, 2.0, 7.0) == (3.0, 7.0)
    assert rates(2.0, 3.0, 7.0) == (3.0, 7.0)


@pytest.mark.parametrize(("bytes_", "touched"), [(40, LEAST_BYTES), (4_000_000, 4_000_000)])
def test_the_rates_are_measured_on_as_many_bytes_as_the_step_touches(bytes_: int, touched: int) -> None:
    """Small steps use the smallest size that exceeds the caches. A copy reads one half and writes the other."""
    found = gauges(Work(bytes_, 1), "cpu")
    assert found[READ].amount == touched
    assert found[COPY].amount == touched
    assert found[MULTIPLY].amount == 2 * SIDE**3
    for gauge in found.values():
        gauge.call()


def test_on_an_accelerator_buffers_and_matrices_fill_the_device() -> None:
    """However small the step is; its cache is measured only if the step fits into it. The device has no memory here."""
    small, large = Work(4000, 1), Work(2**26, 1)
    found = gauges(small, "meta", l2_bytes=50 * 2**20)
    assert found[READ].amount == found[COPY].amount == FILLING_BYTES
    assert found[MULTIPLY].amount == 2 * FILLING_SIDE**3
    assert found[CACHED].amount == pytest.approx(25 * 2**20)
    assert CACHED not in gauges(large, "meta", l2_bytes=50 * 2**20)
    assert CACHED not in gauges(small, "meta")
    assert CACHED not in gauges(small, "cpu", l2_bytes=50 * 2**20)


def test_the_cache_counts_where_it_was_measured() -> None:
    """The floor of a step whose data lies in the cache must not come from the memory behind it."""
    assert rates(3.0, 2.0, 7.0, 12.0) == (12.0, 7.0)
