"""The user's error: how it lists what can be typed."""

from harness.error import listed


def test_names_are_listed_in_their_order_each_in_backquotes() -> None:
    """Those of a mapping are its keys, and none are nothing."""
    assert listed({"softmax": 1, "add": 2}) == "`softmax`, `add`"
    assert listed(["one"]) == "`one`"
    assert listed(()) == ""
