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

import torch
from torch import Tensor

from harness.calling.adapter import call_case
from harness.calling.modes import run_uncompiled
from harness.calling.sequence import read, train
from harness.calling.target import Target, place_of
from harness.case import Case
from harness.contracts.loader import data_folder
from harness.error import UsageError, shorten_error
from harness.exact.tape import is_floating
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
    form
        Form of its contract: a function of tensors, a training, or a loader of files.
    """

    def __init__(
        self, target: str | Callable[..., Any], contract: str | None, declares: Mapping[str, Any] | None = None
    ) -> None:
        self.contract, self._source, self.declares = contract, target, declares or {}
        self.batches: Batches = ()
        self.form = "function"
        self._modules: dict[str, ModuleType] = {}
        # Functions of libraries may need an adapter, which their target knows.
        target = target if isinstance(target, str) else place_of(target) or target
        if not isinstance(target, str):
            self.case = Case(target, contract or "", style="foreign", declares=self.declares)
            self.target = self.case.target
            return
        if not all(target.rpartition(":")[::2]):
            rule = "name a function or a step as `file.py:function` or `module:function`"
            raise UsageError(f"cannot compare `{target}`", rule=rule)
        self.target = target
        with separate_modules(self._modules):
            (self.case,) = Target(target, contract, self.declares).cases()

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
        again = Side(self._source, self.contract, self.declares)
        again.batches, again.form = self.batches, self.form
        return again

    def call(self, batch: Sequence[Any]) -> Any:
        """Call a function on a copy of a batch, which is recorded."""
        return self._call(self.case, batch)

    def _call(self, case: Case, batch: Sequence[Any]) -> Any:
        """Call a function, train with minibatches, or read an epoch of files in their order."""
        copies = [x.clone() if isinstance(x, Tensor) else x for x in batch]

        def call(*arguments: Any) -> Any:
            return call_case(case, arguments)

        if self.form == "loader":
            images, labels, *request = copies
            with data_folder(images, labels) as folder:
                return read(call, str(folder), *request, 0, *(False, 1))
        if self.form in {"step", "training"}:
            X, y, weight, bias, minibatches, lr = copies
            # Half the loss at twice the rate is the same training.
            lr /= self.declares.get("factor", 1.0)
            arguments = X, y, [torch.tensor(rows) for rows in minibatches], lr, (weight, bias)
            return train(call, *arguments) if self.form == "step" else call(*arguments)
        return call(*copies)

    def make_calls(self, change: Callable[[Any], Any] = lambda function: function) -> list[Call]:
        """Return its calls, on the batches or of a step, with a changed function."""
        case = replace(self.case, function=change(self.case.function))
        if self.is_step:
            return [Call(f"step {number + 1}", case.function) for number in range(STEPS)]
        batches = deepcopy(self.batches)
        inputs = [[x for x in batch if is_floating(x)] if self.form == "function" else [] for batch in batches]
        calls = [partial(self._call, case, batch) for batch in batches]
        return [Call(f"call {i}", *call) for i, call in enumerate(zip(calls, inputs, strict=True), 1)]

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
        with self.enter() as objects, run_uncompiled():
            recording = record(calls or self.make_calls(), is_step=self.is_step, buffers=list_buffers(objects))
        if hasattr(self.case.function, "get_compiler_config"):
            self.open_again().run_apart(recording)
        return recording

    def run_apart(self, recording: Recording, change: Callable[[Any], Any] = lambda function: function) -> None:
        """Call without recording, and put the results into a recording."""
        with self.enter() as objects, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own
            replace_results(recording, self.make_calls(change), list_weights(objects), list_buffers(objects))
