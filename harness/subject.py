"""Subjects: a case as its laws see it, callable on whole batches and differentiable."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.case import Case
from harness.precision import Format

if TYPE_CHECKING:
    from harness.law import Contract


class CaseError(Exception):
    """What an implementation did instead of answering: it raised, or returned something that is no tensor."""


class Subject:
    """A case as its laws see it: callable on whole batches, in one format, on one device.

    Parameters
    ----------
    case
        The case.
    contract
        Its contract. Where the contract says ``grouped``, the implementation is called once for each index of the
        leading axis and the results are stacked, since it reduces over everything it is given.
    format_
        The format it is checked in.
    """

    def __init__(self, case: Case, contract: "Contract", format_: Format) -> None:
        self.case = case
        self.contract = contract
        self.format = format_
        self.declares: Mapping[str, Any] = {**contract.defaults, **case.declares}

    def __call__(self, *inputs: Any) -> Any:
        """Call the implementation."""
        if not self.contract.grouped:
            return self.once(*inputs)
        outputs = [self.once(*arguments) for arguments in zip(*inputs, strict=True)]
        shapes = {tuple(output.shape) for output in outputs}
        if len(shapes) > 1:
            raise CaseError(f"{self.case.name} returns tensors of different shapes: {sorted(shapes)}")
        return torch.stack(outputs)

    def calling(self, function: Callable[..., Any]) -> "Subject":
        """Return the same subject with another implementation: the case's own, called in another way."""
        return Subject(replace(self.case, function=function), self.contract, self.format)

    def run(self, *inputs: Any) -> Any:
        """Call an implementation that returns something else than one tensor.

        Raises
        ------
        CaseError
            If it raises.
        """
        try:
            return self.case.function(*inputs)
        except CaseError:
            raise
        except Exception as error:
            raise CaseError(f"{self.case.name} raises {type(error).__name__}: {error}") from error

    def once(self, *inputs: Any) -> Tensor:
        """Call the implementation once, whether or not the contract groups, and hold the shape against the contract.

        Raises
        ------
        CaseError
            If it raises, returns no tensor, or one of another shape.
        """
        output = self.run(*inputs)
        if isinstance(output, (int, float)):
            output = torch.tensor(float(output), dtype=torch.float64)
        if not isinstance(output, Tensor):
            raise CaseError(f"{self.case.name} returns {type(output).__name__}, not a tensor")
        wanted = self._shape(inputs)
        if wanted is not None and tuple(output.shape) != wanted:
            given = ", ".join(str(list(value.shape)) for value in inputs if isinstance(value, Tensor))
            raise CaseError(
                f"{self.case.name} returns shape {list(output.shape)} for inputs of shape {given}, "
                f"where the contract says {self.contract.signature}, that is {list(wanted)}"
            )
        return output

    @property
    def output_axes(self) -> tuple[str, ...] | None:
        """Names of the axes of one call's output; ``None`` where the contract leaves them to its laws."""
        return ("n",) if self.declares.get("reduction") == "none" else self.contract.output

    def _shape(self, inputs: tuple[Any, ...]) -> tuple[int, ...] | None:
        """The shape the contract asks for; ``None`` where it leaves that to its laws."""
        names = self.output_axes
        if names is None:
            return None
        lengths: dict[str, int] = {}
        for value, input_axes in zip(inputs, self.contract.axes.values(), strict=False):
            if isinstance(value, Tensor):
                lengths.update(zip(input_axes.names[self.contract.grouped :], value.shape, strict=True))
        return tuple(lengths[name] for name in names) if lengths.keys() >= set(names) else None

    def gradient(self, inputs: tuple[Tensor, ...], cotangent: Tensor | None = None, *, of: int = 0) -> Tensor:
        """Gradient in the case's own dtype, through autograd.

        Parameters
        ----------
        inputs
            Arguments of the implementation.
        cotangent
            Weights of the outputs, of the outputs' shape; ones when absent.
        of
            Position of the argument to differentiate by.
        """
        arguments = [argument.detach().clone() for argument in inputs]
        arguments[of].requires_grad_()
        output = self(*arguments)
        weights = torch.ones_like(output) if cotangent is None else cotangent
        if not output.requires_grad:
            raise CaseError(f"{self.case.name} returns a tensor that autograd cannot follow back to its input")
        try:
            (found,) = torch.autograd.grad(output, arguments[of], weights, allow_unused=True)
        except RuntimeError as error:
            raise CaseError(f"the backward pass of {self.case.name} raises {error}") from error
        return torch.zeros_like(arguments[of]) if found is None else found
