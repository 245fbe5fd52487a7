"""A side of a comparison: a function or a step, with separate modules of the user."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

from torch import Tensor

from harness.calling.adapter import call_case
from harness.calling.target import Target, place_of
from harness.case import Case
from harness.error import UsageError, shorten_error
from harness.sameness.modules import separate_modules
from harness.sameness.objects import find_objects, list_buffers, list_weights
from harness.sameness.recording import STEPS, Call, Recording, record, replace_results

Batches = Sequence[Sequence[Any]]


class Side:
    """A target, and its modules, which the other side does not get to see.

    Parameters
    ----------
    target
        ``file.py:function`` or ``module:function``, or a function of this process, which both sides share.
    contract
        Contract of a function.
    declares
        Conventions of the contract.

    Attributes
    ----------
    batches
        The inputs of the calls of a function.
    """

    def __init__(
        self, target: str | Callable[..., Any], contract: str | None, declares: Mapping[str, Any] | None = None
    ) -> None:
        self.contract, self._source, self._declares = contract, target, declares or {}
        self.batches: Batches = ()
        self._modules: dict[str, ModuleType] = {}
        # Functions of libraries may need an adapter, which their target knows.
        target = target if isinstance(target, str) else place_of(target) or target
        if not isinstance(target, str):
            self.case = Case(target, contract or "", style="foreign", declares=self._declares)
            self.target = self.case.target
            return
        if not all(target.rpartition(":")[::2]):
            rule = "name a function or a step as `file.py:function` or `module:function`"
            raise UsageError(f"cannot compare `{target}`", rule=rule)
        self.target = target
        with separate_modules(self._modules):
            (self.case,) = Target(target, contract, self._declares).cases()

    @property
    def is_step(self) -> bool:
        """Whether it is called without arguments."""
        try:
            parameters = inspect.signature(self.case.function).parameters.values()
        except (TypeError, ValueError):
            return False
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return not any(x.default is x.empty and x.kind not in variable for x in parameters)

    def open_again(self) -> "Side":
        """Return a side of the same target, which is imported again."""
        again = Side(self._source, self.contract, self._declares)
        again.batches = self.batches
        return again

    def call(self, batch: Sequence[Any]) -> Any:
        """Call a function on a copy of a batch, which is recorded."""
        return call_case(self.case, [x.clone() if isinstance(x, Tensor) else x for x in batch])

    def make_calls(self, change: Callable[[Any], Any] = lambda function: function) -> list[Call]:
        """Return its calls, on the batches or of a step, with a changed function."""
        case = replace(self.case, function=change(self.case.function))
        if self.is_step:
            return [Call(f"step {number + 1}", case.function) for number in range(STEPS)]
        calls = (partial(call_case, case, deepcopy(batch)) for batch in self.batches)
        return [Call(f"call {number + 1}", call) for number, call in enumerate(calls)]

    @contextmanager
    def enter(self) -> Iterator[dict[str, Any]]:
        """Run its code with its modules, and explain its exceptions; yields the objects that a step reads."""
        with separate_modules(self._modules):
            try:
                yield find_objects(self.case.function) if self.is_step else {}
            except UsageError:
                raise
            except (Exception, SystemExit) as error:
                raise UsageError(f"cannot run `{self.target}`", rule=f"it raises {shorten_error(error)}") from error

    def record(self, calls: Sequence[Call] | None = None) -> Recording:
        """Record calls. Compiled code runs uncompiled while it is recorded, and once more for its results."""
        with self.enter() as objects:
            recording = record(calls or self.make_calls(), is_step=self.is_step, buffers=list_buffers(objects))
        if hasattr(self.case.function, "get_compiler_config"):
            self.open_again().run_apart(recording)
        return recording

    def run_apart(self, recording: Recording, change: Callable[[Any], Any] = lambda function: function) -> None:
        """Call without recording, and put the results into a recording."""
        with self.enter() as objects, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own
            replace_results(recording, self.make_calls(change), list_weights(objects), list_buffers(objects))
