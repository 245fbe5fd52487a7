"""The Python interface: verdicts as text, frame and table, and the explanation of a law."""

import sys
from types import ModuleType

import pytest
from torch import Tensor

import harness
from harness.case import Case
from harness.record import Status


def naive(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def test_a_notebook_shows_a_table_with_escaped_text() -> None:
    """The verdict comes first, and text of an implementation is escaped."""

    def script(x: Tensor) -> Tensor:
        raise ValueError("<script>")

    html = harness.check(script, "softmax", laws=["value"], dtypes=["float32"])._repr_html_()
    assert "<b>verdict: 1 error" in html
    assert "<table>" in html
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_verdicts_read_as_their_blocks_and_the_verdict_line() -> None:
    """The command prints the same text."""
    text = str(harness.check(naive, "softmax", laws=["value", "calls_agree"], dtypes=["float32"]))
    assert text.startswith("DEFECT  ")
    assert "88.72283935546875" in text
    assert text.splitlines()[-1].startswith("verdict: 1 defect in ")


def test_output_of_an_implementation_is_captured(capsys: object) -> None:
    """A notebook shows nothing of it."""

    def chatty(x: Tensor) -> Tensor:
        print("shape", x.shape)  # noqa: T201 - that is what is caught
        return x.softmax(-1)

    (verdict,) = harness.check(chatty, "softmax", laws=["calls_agree"], dtypes=["float32"])
    assert verdict.status is Status.ERROR
    assert "prints `shape torch.Size(" in (verdict.reason or "")
    assert capsys.readouterr().out == ""  # type: ignore[attr-defined]


def test_a_law_is_explained_on_several_lines() -> None:
    """A Python prompt shows the lines too."""
    text = harness.explain("rows_sum_to_one", "softmax")
    assert repr(text) == str(text)
    assert "statement   Each row of softmax(X) sums to one." in text


def test_the_package_lists_its_face_and_nothing_else() -> None:
    """Names that are loaded on first use are listed too."""
    assert dir(harness) == sorted(harness.__all__)
    assert all(hasattr(harness, name) for name in dir(harness))


class Compiled:
    """A compiled function like those in ``scipy.special``, which has only a name."""

    __name__ = "expit"

    def __init__(self) -> None:
        self.__module__ = None  # type: ignore[assignment]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the sigmoid."""
        return x.sigmoid()


def test_a_wrapped_function_is_named_by_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of the wrapper is useless for an import. A function that no module has keeps its place."""

    def wrapped(x: Tensor) -> Tensor:
        return x.sigmoid()

    nowhere = Case(wrapped, "sigmoid").target
    wrapped.__name__ = "expit"
    module = ModuleType("special")
    vars(module)["expit"] = wrapped
    monkeypatch.setitem(sys.modules, "special", module)
    assert Case(wrapped, "sigmoid").target == "special:expit"
    assert nowhere.endswith("<locals>.wrapped")


def test_a_function_without_a_module_is_named_by_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public module is preferred to a private one.

    Without a module, the name is the kind of object, as for a closure.
    """
    expit = Compiled()
    for place, own in (("special._ufuncs", expit), ("special", expit), ("other", Compiled())):
        module = ModuleType(place)
        vars(module)["expit"] = own
        monkeypatch.setitem(sys.modules, place, module)
    case = Case(expit, "sigmoid")
    assert (case.target, case.name) == ("special:expit", "special.expit")
    assert Case(Compiled(), "sigmoid").target.endswith(":Compiled")
