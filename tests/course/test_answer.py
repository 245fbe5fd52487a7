"""The constants that a student fills in."""

import pytest

from harness.course.answer import Reply, make_replies, read_answers, read_constants
from harness.course.exercise import Answer, Exercise
from harness.error import UsageError


def exercise(exact: object, digits: int = 3) -> Exercise:
    """Return an exercise with one constant."""
    hints = ("one", "two", "three")
    answer = Answer("X", lambda: exact, digits)
    return Exercise("1.1", "title", "question", "X = ...", "", hints, "learned", answers=(answer,))


def compare(exercise: Exercise, source: str) -> list[Reply]:
    """Return the replies to the constants of a file."""
    return make_replies(exercise, read_answers(exercise, source))


@pytest.mark.parametrize("text", ["88.7", "88.72", "88.72283", "88.74"])
def test_a_number_is_right_after_rounding_to_three_digits(text: str) -> None:
    """More digits are welcome, and the exact value follows."""
    (reply,) = compare(exercise(88.72283905206835), f"X = {text}")
    assert reply.is_right
    assert reply.sentence == f"X = {text} is right; the exact value is 88.72284"


@pytest.mark.parametrize("text", ["88.8", "88", "True", "'88.7'", "None", "[88.7]", "float('nan')"])
def test_another_value_is_wrong(text: str) -> None:
    """The sentence does not show the exact value."""
    (reply,) = compare(exercise(88.72283905206835), f"X = {text}")
    assert not reply.is_right
    assert "88.72" not in reply.sentence


@pytest.mark.parametrize(
    ("exact", "right", "wrong"), [(True, "True", "1"), (11, "11.0", "12"), ([5, 5], "(5, 5)", "(5,)")]
)
def test_other_values_are_compared_as_they_are(exact: object, right: str, wrong: str) -> None:
    """A truth value is no number, and a sequence needs all its elements."""
    assert compare(exercise(exact), f"X = {right}")[0].is_right
    assert not compare(exercise(exact), f"X = {wrong}")[0].is_right


def test_a_dictionary_has_a_reply_for_each_key() -> None:
    """While it is empty, there is a single one."""
    asked = exercise({"a": 1.0, "b": 2.0})
    assert [reply.sentence for reply in compare(asked, "X = {'a': ..., 'b': ...}")] == ["X has no value yet"]
    one, other = compare(asked, "X = {'a': 1.0, 'b': 3.0}")
    assert (one.sentence, other.sentence) == ('X["a"] = 1.0 is right', 'X["b"] = 3.0 is wrong')


@pytest.mark.parametrize("source", ["", "X = ...", "X = [..., 2]"])
def test_a_missing_constant_has_no_value_yet(source: str) -> None:
    """An expression is not evaluated."""
    (reply,) = compare(exercise([1.0, 2.0]), source)
    assert reply.sentence == "X has no value yet"


def test_a_file_is_not_executed() -> None:
    """Only literals are read."""
    assert read_constants("import sys\nsys.exit()\nN = 3\nM = N + 1\n") == {"N": 3}


def test_a_syntax_error_is_reported_with_its_line() -> None:
    """The student mistyped."""
    with pytest.raises(UsageError, match="in line 2"):
        read_constants("X = 1\nY = (\n")
