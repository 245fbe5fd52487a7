"""The comparison of two targets, in a process that imports user code."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import call_case
from harness.calling.modes import seed_all
from harness.calling.target import Target
from harness.case import Case
from harness.compat.installed import package_folders, python_folders
from harness.contracts import claimed, contract_named
from harness.error import UsageError, join_names, shorten_error
from harness.floats import FORMATS
from harness.record import SEED
from harness.sameness.judgment import Answer, Judgment, judge
from harness.sameness.recording import STEPS, Recording, record
from harness.timing.clock import threads
from harness.tolerances.assertion import assert_within_bound
from harness.verdict.draw import draw_all_examples

EXAMPLES = 4
"""Batches of a contract; each is followed by its rows in reverse order, so that a stale cache is noticed."""

_INSTALLED = (*python_folders(), *package_folders())


class Side:
    """One of the two: its case, and its modules, which the other one does not get to see."""

    def __init__(self, target: str, contract: str | None) -> None:
        if not all(target.rpartition(":")[::2]):
            rule = "name a function or a step as `file.py:function` or `module:function`"
            raise UsageError(f"cannot compare `{target}`", rule=rule)
        self.target = target
        self._modules: dict[str, ModuleType] = {}
        with self.separate_modules():
            (self.case,) = Target(target, contract).cases()
        if hasattr(self.case.function, "get_compiler_config"):
            rule = "a compiled function runs uncompiled while it is recorded"
            raise UsageError(f"cannot compare `{target}`", rule=rule)

    @contextmanager
    def separate_modules(self) -> Iterator[None]:
        """Import and run its code with separate modules of the user, and with the seed of both."""
        before = set(sys.modules)
        sys.modules.update(self._modules)
        seed_all(SEED)
        try:
            yield
        finally:
            for name in set(sys.modules) - before:
                if _is_user_module(name):
                    self._modules[name] = sys.modules.pop(name)

    @property
    def is_step(self) -> bool:
        """Whether it is called without arguments."""
        try:
            parameters = inspect.signature(self.case.function).parameters.values()
        except (TypeError, ValueError):
            return False
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return not any(x.default is x.empty and x.kind not in variable for x in parameters)

    def record(self, batches: Sequence[Sequence[Any]]) -> Recording:
        """Record its calls: on batches, or of a step."""
        calls: list[Callable[[], Any]] = [self.case.function] * STEPS
        if not self.is_step:
            calls = [partial(call_case, self.case, deepcopy(batch)) for batch in batches]
        with self.separate_modules():
            try:
                return record(calls, is_step=self.is_step)
            except UsageError:
                raise
            except (Exception, SystemExit) as error:
                raise UsageError(f"cannot run `{self.target}`", rule=f"it raises {shorten_error(error)}") from error


def _is_user_module(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    return bool(file) and not str(file).startswith(_INSTALLED) and name.split(".")[0] != "harness"


def compare_targets(
    first: str, second: str, contract: str | None, shapes: list[list[int]], report: Callable[[str], object]
) -> Judgment:
    """Record both targets and judge them; ``report`` gets a name when both are imported.

    Raises
    ------
    UsageError
        If they cannot be called on the same inputs.
    """
    sides = [Side(target, contract) for target in (first, second)]
    report(first)
    if sides[0].is_step != sides[1].is_step:
        raise UsageError("cannot compare a step with a function", rule="only a step takes no arguments")
    name = None if sides[0].is_step or shapes else _find_contract([side.case for side in sides])
    batches = _draw_shapes(shapes) if name is None else _draw_batches(name)
    recordings = [side.record(batches) for side in sides]
    with threads(1):
        judgment = judge(*recordings)
    bound = "" if name is None or judgment.answer is Answer.SAME_BITS else _describe_bounds(name, recordings, batches)
    return judgment.model_copy(update={"sentence": judgment.sentence + bound})


# Inputs


def _find_contract(cases: Sequence[Case]) -> str:
    """Return the contract of both, which the names of one or both decide."""
    names = set()
    for case in cases:
        with suppress(UsageError):
            names.add(claimed(case).contract)
    if len(names) != 1:
        rule, value = "the names of the functions must belong to one contract", join_names(sorted(names)) or "none"
        remedy = "pass `--contract NAME`, or a `--shape` for each argument"
        raise UsageError("cannot choose the inputs", rule=rule, value=value, remedy=remedy)
    return names.pop()


def _draw_batches(name: str) -> list[list[Any]]:
    """Return inputs of a contract, as a check draws them in float32, each also in reverse order of rows."""
    contract = contract_named(name)
    law = next((law for law in contract.laws if law.group == "value"), None)
    if law is None or contract.form != "function":
        raise UsageError(f"cannot compare `{name}`", rule="it must be a function of tensors")
    examples = draw_all_examples(law.inputs or contract.inputs, FORMATS["float32"], examples=EXAMPLES, seed=SEED)
    batches = [[example[read][0] if contract.grouped else example[read] for read in law.reads] for example in examples]
    reversed_batches = [[x.flip(0) if isinstance(x, Tensor) and x.ndim else x for x in batch] for batch in batches]
    return [batch for pair in zip(batches, reversed_batches, strict=True) for batch in pair]


def _draw_shapes(shapes: Sequence[Sequence[int]]) -> list[list[Any]]:
    """Return two batches of normal random numbers."""
    generator = torch.Generator().manual_seed(SEED)
    return [[torch.randn(*shape, generator=generator) for shape in shapes] for _ in range(2)]


# Bounds


def _describe_bounds(name: str, recordings: Sequence[Recording], batches: Sequence[Sequence[Any]]) -> str:
    """Return whether the results stay within the bound of the contract; empty if it has none for these inputs."""
    within = [True, True]
    for side, recording in enumerate(recordings):
        for result in recording.results.values():
            try:
                assert_within_bound(result.value, name, *batches[result.call - 1])
            except AssertionError:
                within[side] = False
            except UsageError:
                return ""
    which = ("neither stays", f"only the {'first' if within[0] else 'second'} stays", "both stay")[sum(within)]
    return f"; {which} within the bound of {name}"
