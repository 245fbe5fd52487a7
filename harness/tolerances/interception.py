"""Watch the comparisons of a process: each function that compares with a tolerance is wrapped where it is defined.

A module that imported such a function by name keeps the original, so that this happens before tests are collected.
"""

import importlib.util
import inspect
import math
import sys
import unittest
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import pytest

from harness.record import Tolerance
from harness.tolerances.judgment import Decide, judge, judge_step, measure
from harness.tolerances.place import Judged, Place

FUNCTIONS = {
    "numpy": ("allclose",),
    "numpy.testing": ("assert_allclose", "assert_almost_equal", "assert_array_almost_equal", "assert_approx_equal"),
    "math": ("isclose",),
}
"""Functions ``compare(actual, expected, ...)`` by module; they return false or raise ``AssertionError``."""

TOLERANCES = ("rtol", "atol", "rel_tol", "abs_tol", "decimal", "significant", "places", "delta", "rel", "abs", "prec")

DIGITS = {"decimal", "places", "significant"}
"""Numbers of digits: zero digits are a wide tolerance."""

PREDICATES = {"torch.allclose", "Tensor.allclose", "numpy.allclose", "math.isclose"}
"""Comparisons that other code makes, too: an optimizer to choose a branch, ``gradcheck`` for finite differences."""

MOST = 30
"""Comparisons that are judged at one place; further ones of a loop or of parameters seldom say more."""


@dataclass
class Watch:
    """The comparisons of the running test, and of the tests that have passed."""

    root: Path
    decide: Decide = judge
    kept: dict[tuple[str, int, str], list[Judged]] = field(default_factory=dict)
    pending: list[tuple[tuple[str, int, str], Judged]] = field(default_factory=list)
    sound: set[tuple[str, int, str]] = field(default_factory=set)
    """Places where a comparison was sound."""
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)
    files: dict[str, str | None] = field(default_factory=dict)
    collected: set[Path] = field(default_factory=set)
    """Files with tests; with ``--pyargs``, they belong to an installed package."""
    is_asking: bool = False

    @property
    def notes_failures(self) -> bool:
        """Whether a comparison that fails is noted, too: it has no verdict, but a difference."""
        return self.decide is measure

    def keep(self, *, has_passed: bool) -> None:
        """Keep the comparisons of a test; a test that passes although a comparison refuses expects the refusal."""
        for place, judged in self.pending:
            if has_passed and judged.share == math.inf:
                continue
            self.kept.setdefault(place, []).append(judged)
            if judged.answer is Tolerance.SOUND:
                self.sound.add(place)
        self.pending.clear()

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of the kept comparisons."""
        return tuple(
            Place(file=file, line=line, function=function, comparisons=tuple(judged))
            for (file, line, function), judged in self.kept.items()
        )

    def note(
        self, name: str, actual: Any, expected: Any, given: dict[str, Any], accepts: Callable[[Any], bool]
    ) -> None:
        """Decide on a comparison, and keep the answer with its place."""
        if name in PREDICATES and not _is_test(sys._getframe(2)):
            return
        location = self._find_place()
        if location is None or self.seen[location] >= MOST:
            return
        self.seen[location] += 1
        tolerances = {key: given[key] for key in TOLERANCES if given.get(key) is not None}
        text = ", ".join(f"{key} = {' '.join(str(value).split())}" for key, value in tolerances.items())
        place = (*location, f"{name}, {text}" if text else name)
        is_exact = bool(text) and not any(map(np.any, tolerances.values())) and not DIGITS & given.keys()
        decide = judge_step if self.decide is judge and place in self.sound else self.decide
        self.is_asking = True
        try:
            judged = decide(actual, expected, accepts, is_exact=is_exact)
        except (TypeError, ValueError, KeyError, RuntimeError, NotImplementedError):
            judged = Judged(answer=Tolerance.UNJUDGED, reason="the result cannot be changed")
        finally:
            self.is_asking = False
        if judged is not None:
            self.pending.append((place, judged))

    def _find_place(self) -> tuple[str, int] | None:
        """Return the file and line of the nearest test that called, else of the nearest caller in the suite."""
        frame: FrameType | None = sys._getframe(2)
        nearest: tuple[str, int] | None = None
        while frame is not None:
            if (file := self._find_file(frame.f_code.co_filename)) is not None:
                if frame.f_code.co_name.startswith("test"):
                    return file, frame.f_lineno
                nearest = nearest or (file, frame.f_lineno)
            frame = frame.f_back
        return nearest

    def _find_file(self, name: str) -> str | None:
        """Return a file of the suite, relative to its root if it is below it; ``None`` for other files."""
        if name not in self.files:
            file = Path(name)
            is_below = self.root in file.parents
            is_own = file in self.collected or (is_below and "site-packages" not in file.parts)
            place = file.relative_to(self.root) if is_below else file
            self.files[name] = place.as_posix() if is_own else None
        return self.files[name]


def _is_test(frame: FrameType) -> bool:
    """Whether a frame is of a test, or of a helper in a module that is named after tests."""
    return frame.f_code.co_name.startswith("test") or "test" in frame.f_globals.get("__name__", "")


class Interception:
    """The wrapped functions; they are restored at the end.

    Parameters
    ----------
    root
        Folder of the suite, to which places are relative.
    decide
        Decides on each comparison.
    helpers
        Comparing functions of the suite, as ``module:function``.
    """

    def __init__(self, root: Path, decide: Decide = judge, helpers: Sequence[str] = ()) -> None:
        self.watch = Watch(root, decide)
        self._helpers = helpers
        self._originals: list[tuple[Any, str, Any]] = []

    def start(self) -> None:
        """Wrap the functions of the packages that are installed."""
        for module, names in FUNCTIONS.items():
            with suppress(ImportError):
                self._replace_all(importlib.import_module(module), names, module)
        _act_after_import("torch", self._wrap_torch)
        for helper in self._helpers:
            module, _, name = helper.partition(":")
            _act_after_import(module, partial(self._wrap_helper, module, name))
        self._replace(unittest.TestCase, "assertAlmostEqual", "assertAlmostEqual", skips=1)
        import numpy as np

        values: tuple[Any, ...] = (1.0, [1.0], {"x": 1.0}, np.zeros(2))
        for approximate in {type(pytest.approx(value)) for value in values}:
            self._set(approximate, "__eq__", _wrap_approximate(self.watch, approximate.__eq__))

    def stop(self) -> None:
        """Restore the functions."""
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)

    def _wrap_torch(self) -> None:
        torch = sys.modules["torch"]
        self._replace_all(torch.testing, ("assert_close",), "torch.testing")
        self._replace_all(torch, ("allclose",), "torch")
        self._replace_all(torch.Tensor, ("allclose",), "Tensor")

    def _wrap_helper(self, module: str, name: str) -> None:
        self._replace(sys.modules[module], name, f"{module}.{name}")

    def _replace_all(self, owner: Any, names: Sequence[str], title: str) -> None:
        for name in names:
            self._replace(owner, name, f"{title}.{name}")

    def _replace(self, owner: Any, name: str, title: str, *, skips: int = 0) -> None:
        if (original := getattr(owner, name, None)) is not None:
            self._set(owner, name, _wrap(self.watch, title, original, skips))

    def _set(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, function)


def _act_after_import(module: str, act: Callable[[], None]) -> None:
    """Act once a module is imported: torch takes two seconds, which a suite without it does not need."""
    if module in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Reaction(module, act))


class _Reaction(MetaPathFinder):
    """Execute a module as always, and act after it."""

    def __init__(self, module: str, act: Callable[[], None]) -> None:
        self._module, self._act = module, act

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Return the specification of the module, whose execution ends with the action."""
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                # pytest has one loader for all modules that it rewrites.
                spec.loader.exec_module = execute  # type: ignore[union-attr, method-assign]
                execute(module)
                self._act()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _list_parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a function of C
        return ["actual", "expected", "rtol", "atol"]


def _wrap(watch: Watch, title: str, original: Callable[..., Any], skips: int) -> Callable[..., Any]:
    """Return a function that calls the original, and calls it again with damaged results once it has passed."""
    names = _list_parameters(original)

    @wraps(original)
    def compare(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if watch.is_asking:
            return original(*arguments, **named)
        # A comparison may be made of others, which belong to it.
        watch.is_asking = True
        failure: AssertionError | None = None
        result = None
        try:
            result = original(*arguments, **named)
        except AssertionError as error:
            failure = error
        finally:
            watch.is_asking = False
        pair, rest = _read_arguments(names[skips:], arguments[skips:], named)
        has_passed = failure is None and (result is None or bool(result))
        if (has_passed or watch.notes_failures) and pair is not None:
            before, after = arguments[:skips], arguments[skips + 2 :]

            def accepts(changed: Any) -> bool:
                try:
                    answer = original(*before, changed, pair[1], *after, **rest)
                except AssertionError:
                    return False
                return answer is None or bool(answer)

            watch.note(title, *pair, {**dict(zip(names[skips + 2 :], after, strict=False)), **rest}, accepts)
        if failure is not None:
            raise failure
        return result

    return compare


def _read_arguments(
    names: Sequence[str], arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[tuple[Any, Any] | None, dict[str, Any]]:
    """Return both results, and the named arguments without them; no results if they are not recognized."""
    rest = dict(named)
    results = list(arguments[:2])
    results += [rest.pop(name) for name in names[len(results) : 2] if name in rest]
    return ((results[0], results[1]) if len(results) == 2 else None), rest


def _wrap_approximate(watch: Watch, original: Callable[..., bool]) -> Callable[[Any, Any], bool]:
    """Do the same with the comparison of ``pytest.approx``."""

    def compare(self: Any, actual: Any) -> bool:
        __tracebackhide__ = True
        result = original(self, actual)
        if (result or watch.notes_failures) and not watch.is_asking:
            given = {"rel": self.rel, "abs": self.abs}
            watch.note("pytest.approx", actual, self.expected, given, lambda changed: bool(original(self, changed)))
        return result

    return compare
