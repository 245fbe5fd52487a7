"""Sound implementations changed in ways that any operation can be wrong, for the laws of all operations."""

from collections.abc import Callable
from typing import Any

import torch
from controls.catalogue import CONTROLS
from corpus.specimen import SPECIMENS, Specimen
from torch import Tensor

from harness.contracts import contract_named
from harness.record import Status

Implementation = Callable[..., Any]


def last_row_is_another(sound: Implementation) -> Implementation:
    """The tail of the loop reads the first row again."""

    def mutant(*inputs: Any) -> Any:
        n = len(inputs[0])
        rows = [torch.cat([x[:-1], x[:1]]) if n and isinstance(x, Tensor) and len(x) == n else x for x in inputs]
        return sound(*rows)

    return mutant


def strides_are_ignored(sound: Implementation) -> Implementation:
    """Memory is read as if it were contiguous."""

    def read(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return torch.as_strided(x, x.shape, torch.empty(x.shape, device="meta").stride())

    return lambda *inputs: sound(*map(read, inputs))


def batch_matters(sound: Implementation) -> Implementation:
    """Takes another path for more than one row."""

    def mutant(*inputs: Any) -> Any:
        output = sound(*inputs)
        return output if len(inputs[0]) < 2 else output + (output != 0).to(output.dtype)

    return mutant


def state_is_kept(sound: Implementation) -> Implementation:
    """Every second call answers otherwise."""
    calls = [0]

    def mutant(*inputs: Any) -> Any:
        calls[0] += 1
        output = sound(*inputs)
        return output if calls[0] % 2 else output + 1

    return mutant


LANES = 16
"""Numbers in a usual vector instruction."""


def memory_is_unset(sound: Implementation) -> Implementation:
    """Starts a sum from uninitialized memory, in the last lane."""

    def mutant(*inputs: Any) -> Any:
        # The first bytes of a freed block are pointers of the allocator, which may be negligible as numbers.
        lanes = torch.empty(LANES, dtype=inputs[0].dtype)
        return sound(*inputs) + lanes[-1]

    return mutant


def works_in_place(sound: Implementation) -> Implementation:
    """The first input is used as scratch memory."""

    def mutant(*inputs: Any) -> Any:
        output = sound(*inputs).clone()
        inputs[0].zero_() if inputs[0].any() else inputs[0].fill_(1)
        return output

    return mutant


def returns_its_input(sound: Implementation) -> Implementation:
    """Writes the answer into the first input and returns a view of it."""

    def mutant(*inputs: Any) -> Any:
        output, memory = sound(*inputs), inputs[0].view(-1)
        if output.numel() > memory.numel() or output.dtype != memory.dtype:
            return memory[:1]
        return memory[: output.numel()].copy_(output.reshape(-1)).view(output.shape)

    return mutant


def empty_raises(sound: Implementation) -> Implementation:
    """A loop that needs one turn."""

    def mutant(*inputs: Any) -> Any:
        if not len(inputs[0]):
            raise IndexError("index 0 is out of bounds")
        return sound(*inputs)

    return mutant


def drops_nan(sound: Implementation) -> Implementation:
    """A comparison drops the NaN."""
    return lambda first, *inputs: sound(first.nan_to_num(0.0), *inputs)


def promotes(sound: Implementation) -> Implementation:
    """A constant of a wider dtype."""
    return lambda *inputs: sound(*inputs).double()


def later_rows_are_the_first(sound: Implementation) -> Implementation:
    """A grid ends after 65,535 rows, and starts again."""

    def mutant(*inputs: Any) -> Any:
        output = sound(*inputs)
        return torch.cat([output[:65_535], output[: len(output) - 65_535]]) if 65_535 < len(output) < 2**17 else output

    return mutant


def axes_are_swapped(sound: Implementation) -> Implementation:
    """Confuses the first of three axes with the second, and reverses it."""
    return lambda *inputs: sound(*inputs).flip(0) if inputs[0].ndim > 2 else sound(*inputs)


def inference_is_another(sound: Implementation) -> Implementation:
    """Uses a faster form in inference mode."""
    return lambda *inputs: sound(*inputs) + int(torch.is_inference_mode_enabled())


def backward_is_another(sound: Implementation, change: Callable[[Tensor], Tensor], *, detached: bool) -> Implementation:
    """Changes the incoming gradient, or hides the operation from autograd, so that the gradient is a constant."""

    class Another(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            ctx.inputs = inputs
            return sound(*inputs).detach()

        @staticmethod
        def backward(ctx: Any, v: Tensor) -> Any:
            inputs = [x.detach().requires_grad_(x.is_floating_point()) for x in ctx.inputs]
            with torch.enable_grad():
                output = sound(*inputs)
            wanted = [x for x in inputs if x.requires_grad]
            found = iter(torch.autograd.grad(output, wanted, change(v), create_graph=not detached, allow_unused=True))
            return tuple(next(found) if x.requires_grad else None for x in inputs)

    return lambda *inputs: Another.apply(*inputs)


def _misread(v: Tensor) -> Tensor:
    """Reads tensors as if they were contiguous, and equal entries as ones."""
    if (v == v.flatten()[:1]).all():
        return torch.ones_like(v)
    held = v.untyped_storage().nbytes() // v.element_size()
    memory = v.as_strided((held,), (1,), 0)
    return memory[: v.numel()].reshape(v.shape)


def incoming_is_misread(sound: Implementation) -> Implementation:
    """Its backward pass supports only usual incoming gradients."""
    return backward_is_another(sound, _misread, detached=False)


def gradient_is_detached(sound: Implementation) -> Implementation:
    """Its backward pass is not differentiable."""
    return backward_is_another(sound, lambda v: v, detached=True)


def last_entries_are_dropped(sound: Implementation) -> Implementation:
    """A block of the backward pass ends after 100 entries."""
    return backward_is_another(sound, lambda v: v * (torch.arange(v.shape[-1]) < 100), detached=False)


def rounded_another_way(sound: Implementation, towards: Callable[[Tensor], Tensor]) -> Implementation:
    """Rounds the float64 answer to one side."""

    def mutant(*inputs: Any) -> Any:
        wide = sound(*(x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs))
        nearest = wide.to(inputs[0].dtype)
        end = towards(wide).to(nearest.dtype)
        beyond = (wide - nearest.double()) * (end.double() - wide) > 0
        return torch.where(beyond, nearest.nextafter(end), nearest)

    return mutant


def truncated(sound: Implementation) -> Implementation:
    """Drops the excess bits."""
    return rounded_another_way(sound, torch.zeros_like)


def rounded_up(sound: Implementation) -> Implementation:
    """Rounds up."""
    return rounded_another_way(sound, lambda x: torch.full_like(x, torch.inf))


Spoil = Callable[[Implementation], Implementation]

WRONG: dict[str, tuple[Spoil, ...]] = {
    "any_position": (last_row_is_another,),
    "any_layout": (strides_are_ignored,),
    "row_alone": (batch_matters,),
    "calls_agree": (state_is_kept, memory_is_unset),
    "inputs_unmodified": (works_in_place,),
    "output_is_its_own": (returns_its_input,),
    "no_rows": (empty_raises,),
    "nan_stays_in_its_row": (drops_nan,),
    "value_on_many_rows": (later_rows_are_the_first,),
    "no_drift": (truncated, rounded_up),
    "any_rank": (axes_are_swapped,),
    "any_cotangent": (incoming_is_misread,),
    "second_derivative": (gradient_is_detached,),
    "gradient_on_long_rows": (last_entries_are_dropped,),
    "any_mode": (inference_is_another,),
    "output_like_input": (promotes,),
}


OTHERWISE = {("cross_entropy", "value_on_many_rows"), ("squared_error", "gradient_on_long_rows")}
"""Laws that a contract states itself, with separate mutants."""


def _mutant(spoil: Spoil, contract: str, law: str, sound: Implementation, declares: Any) -> Specimen:
    function = spoil(sound)
    function.__name__ = spoil.__name__
    status = Status.ERROR if law == "no_rows" else Status.BROKEN
    dtype = contract_named(contract).dtypes[0] if "float32" not in contract_named(contract).dtypes else "float32"
    return Specimen(function, contract, law, dtype, declares, status=status, generic=True)


SPECIMENS += [
    _mutant(spoil, control.contract, law.name, control.stable, control.declares)
    for control in CONTROLS
    for law in contract_named(control.contract).laws
    if (control.contract, law.name) not in OTHERWISE
    for spoil in WRONG.get(law.name, ())
]
