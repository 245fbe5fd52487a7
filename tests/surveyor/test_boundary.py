"""The first failing place on a line is found exactly, and its certainty states how it was searched."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.surveyor.boundary import Boundary, Effort, Places, first_failure

SMALL = Effort(whole=100, batch=16, width=4, near=8)
LONG = 2**62


def line(*fails: tuple[int, int]) -> Callable[[Places], np.ndarray]:
    """Fail on these half-open intervals."""
    return lambda places: np.any([(places >= low) & (places < high) for low, high in fails], axis=0)


@pytest.mark.parametrize("first", [0, 1, 17, 98, 99])
def test_a_short_line_is_tried_whole(first: int) -> None:
    """The reported failure is the first, even if failures are irregular."""
    found = first_failure(line((first, first + 1)), 100, [], SMALL)
    assert (found.place, found.certainty) == (first, "exhausted")


def test_a_short_line_on_which_nothing_fails_has_no_boundary() -> None:
    """All places were tried."""
    assert first_failure(line((200, 300)), 100, [], SMALL) == Boundary(None, "exhausted", 100)


@pytest.mark.parametrize("first", [1, 12345, 2**53 + 1, LONG - 1])
def test_a_long_line_is_narrowed_down_to_the_very_place(first: int) -> None:
    """The line may be longer than float64 can count."""
    found = first_failure(line((first, LONG)), LONG, [], SMALL)
    assert (found.place, found.certainty) == (first, "monotone")
    assert found.probes < 500


def test_a_window_that_a_probe_hits_is_only_the_first_found() -> None:
    """Later places hold again."""
    found = first_failure(line((5000, 6000)), LONG, [5500], SMALL)
    assert (found.place, found.certainty) == (5000, "scanned")


def test_a_failure_just_below_the_boundary_moves_it_down() -> None:
    """It is a single place that bisection misses."""
    found = first_failure(line((9_997, 9_998), (10_000, LONG)), LONG, [], SMALL)
    assert (found.place, found.certainty) == (9_997, "scanned")


def test_the_search_ends_if_failures_scatter() -> None:
    """There is always another failure below, so that the rounds are limited."""

    def scattered(places: Places) -> np.ndarray:
        return (places >= 1000) & (places % 3 == 0)

    found = first_failure(scattered, LONG, [LONG - 1 - (LONG - 1) % 3], SMALL)
    assert found.place is not None
    assert found.certainty == "scanned"
    assert bool(scattered(np.array([found.place]))[0])


def test_a_line_without_failing_probes_is_not_called_exhausted() -> None:
    """Not all places were tried."""
    found = first_failure(line((5000, 6000)), LONG, [], SMALL)
    assert (found.place, found.certainty) == (None, "scanned")
