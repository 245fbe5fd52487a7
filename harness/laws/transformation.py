"""Laws on request: what ``torch.compile`` and ``torch.func.vmap`` make of an implementation has the same values.

Loading the compiler takes two seconds, and few functions are ever mapped, so a check includes these laws only if
``--law`` names them. Torch refuses to transform some code, such as a branch on a value, random numbers, or an operation
without a rule for batches. This is no defect of the code, and the verdict states torch's reason.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.floats import Measurement
from harness.laws import derivation
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.law import Example, Law
from harness.laws.subject import Answered, Subject
from harness.record import Fault


def laws_on_request(contract: Contract) -> tuple[Law, ...]:
    """Return the laws of a contract that are checked only if they are named."""
    if contract.form != "function":
        return ()
    return tuple(derivation.bound_to(law, contract.laws[0]) for law in (compile_agrees, vmap_agrees))


@derivation.about_every_operation(
    "torch.compile does not change the value.",
    source="results do not depend on the compiler",
    bound=derivation.TWICE,
    cause="a branch on torch.compiler.is_compiling() computes another formula, or a custom operator describes itself "
    "wrongly to the compiler: use one formula, and check the operator with torch.library.opcheck",
    examples=3,
    of_many=True,
)
def compile_agrees(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Compile with a backend that generates no code, and so needs no C++ compiler."""
    function = subject.case.function
    if (isinstance(function, type) or getattr(function, "is_object", False)) and not derivation.is_module(subject):
        raise NotApplicable("torch.compile compiles functions and modules, not classes")
    compiled = derivation.call_in_mode(lambda: subject.host.modes(compiled=True), subject)

    def call(*arguments: Any) -> Any:
        return _require_support("torch.compile", lambda: compiled(*arguments))

    return replace(derivation.compare_calls(subject, value, inputs, [call]), circumstance="under torch.compile")


@derivation.about_every_operation(
    "torch.func.vmap gives the values of separate calls, whichever axis and inputs it maps over.",
    source="definition of vmap",
    bound=derivation.TWICE,
    cause="the vmap rule of an autograd.Function or a custom operator assumes that the mapped axis is the first one, "
    "or that all inputs have it: use in_dims, or generate_vmap_rule=True",
)
def vmap_agrees(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Map over the first axis, over the last axis, and over the first input only."""
    batches = dict(inputs)
    if not subject.contract.grouped:
        pairs = zip(inputs.values(), derivation.make_other_inputs(tuple(inputs.values())), strict=True)
        batches = {
            name: torch.stack(pair) if isinstance(pair[0], Tensor) else pair[0]
            for name, pair in zip(inputs, pairs, strict=True)
        }
    tensors = [name for name, x in batches.items() if isinstance(x, Tensor)]
    ways = [dict.fromkeys(tensors, 0), dict.fromkeys(tensors, -1), *([{tensors[0]: 0}] if tensors[1:] else [])]
    return derivation.select_worst(*(_measure_mapped(subject, value, batches, way) for way in ways))


def _measure_mapped(subject: Subject, value: Law, batches: Example, axes: dict[str, int]) -> Measurement:
    """Map over some axes of some inputs, and compare with separate calls."""
    arguments = [
        x.movedim(0, axes[name]) if name in axes else x[0] if isinstance(x, Tensor) else x
        for name, x in batches.items()
    ]
    in_dims = [axes.get(name) for name in batches]
    output = _require_support(
        "torch.func.vmap", lambda: subject.call_on_other_shapes(*arguments, in_dims, sequence="vmap")
    )
    examples = [
        {name: x[i if name in axes else 0] if isinstance(x, Tensor) else x for name, x in batches.items()}
        for i in range(len(output))
    ]
    if subject.contract.grouped:
        stacked = {name: torch.stack([example[name] for example in examples]) for name in batches}
        measured = [derivation.compare_calls(subject, value, stacked, [Answered(subject, output)])]
    else:
        measured = [
            derivation.compare_calls(subject, value, example, [Answered(subject, mapped)])
            for example, mapped in zip(examples, output, strict=True)
        ]
    return replace(
        derivation.select_worst(*measured), circumstance=f"under torch.func.vmap with in_dims={tuple(in_dims)}"
    )


def _require_support(name: str, call: Callable[[], Any]) -> Any:
    """Return the result of a transformed call; the law does not apply if torch cannot transform the implementation."""
    try:
        return call()
    except CaseError as refusal:
        if refusal.fault is not Fault.RAISED:
            raise
        raise NotApplicable(f"{name} refuses it: {refusal}") from refusal
