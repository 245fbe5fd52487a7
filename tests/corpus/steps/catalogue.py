"""The steps by name, and the marked lines of wrong steps."""

import inspect
import linecache
import re
from collections.abc import Callable
from types import ModuleType

import torch
from corpus.steps.parts import batch, finish, net

import harness
from harness.record.audit import Mode

Step = Callable[..., object]
"""Takes no arguments, or a network and a batch, of which it returns the loss."""

MARK = "# WRONG"

INTERNAL = re.compile(r"\b(rsub|_?to_copy|addcdiv|addcmul|addmm|mm|bmm|_log_softmax|_softmax|_foreach\w*|native_\w+)\b")
"""Names of operations that a user does not find in the documentation of torch."""


def audited(step: Step, mode: Mode = "full") -> harness.audit:
    """Audit a step.

    Its findings must have public names, and recommend no format that is as narrow as their own.
    """
    torch.manual_seed(0)
    with harness.audit(mode=mode) as found:
        found.returned(taken(step))
    for finding in found.findings:
        assert not INTERNAL.search(f"{finding.sentence} {finding.remedy} {finding.operation}"), finding.sentence
        assert finding.dtype in ("bfloat16", "float16") or "float32" not in finding.remedy, finding.remedy
        assert finding.dtype != "float64" or "float64" not in finding.remedy, finding.remedy
    return found


def taken(step: Step) -> object:
    """Take a step. With the loss of a network, it ends with the backward pass and the update."""
    if not inspect.signature(step).parameters:
        return step()
    model, (x, y) = net(), batch()
    finish(model, step(model, x, y))
    return None


def steps_of(module: ModuleType) -> list[Step]:
    """Return the steps of a module, in their order: its public functions."""
    defined = [value for name, value in vars(module).items() if inspect.isfunction(value) and name[0] != "_"]
    return [value for value in defined if value.__module__ == module.__name__]


def wrong_line(step: Step) -> tuple[str, int]:
    """Return file and number of the wrong line: the first marked line in the step, or in functions above it."""
    lines, start = inspect.getsourcelines(step)
    marked = [start + index for index, line in enumerate(lines) if MARK in line]
    if not marked:
        above = inspect.getsource(inspect.getmodule(step)).splitlines()[:start]
        marked = [max(index for index, line in enumerate(above, 1) if MARK in line)]
    return inspect.getfile(step), marked[0]


def fitting_words(step: Step) -> list[str]:
    """Return the words in parentheses after the mark; a fitting remedy has at least one."""
    file, line = wrong_line(step)
    _, _, words = linecache.getline(file, line).partition(f"{MARK} (")
    return words.rstrip().removesuffix(")").split("|")
