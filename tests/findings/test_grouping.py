"""Groups of values."""

from harness.findings.grouping import grouped


def test_groups_and_their_values_keep_their_order() -> None:
    """A group stands where its first value does."""
    assert list(grouped("bAaB", str.lower).items()) == [("b", ["b", "B"]), ("a", ["A", "a"])]


def test_no_values_make_no_groups() -> None:
    """The result is empty."""
    assert grouped([], str) == {}
