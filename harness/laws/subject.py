"""Subjects: a case as its laws see it, callable on whole batches and differentiable.

A case declares conventions of its contract, and traits. A trait describes the platform and not the operation, so any
case may declare it: the format of the computation, the dtype of the result, subnormal numbers, random numbers, and
inputs that raise an error.
"""

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.calling.adapter import ADAPTER_DETACHES, NO_AUTOGRAD, NotApplicable, explain_missing_numpy
from harness.calling.device import CPU, MisplacedError
from harness.calling.host import HERE, GoneError, Host, RemoteError, ReshapedError
from harness.calling.modes import explain_missing_compiler, grad
from harness.calling.sequence import MisfitError
from harness.calling.watch import Watch
from harness.case import FLOATS, Case
from harness.compat.torch import DisableTorchFunctionSubclass
from harness.error import shorten_error
from harness.exact.tape import place
from harness.floats import FORMATS, Format, Measurement
from harness.isolation.encoding import kind_of
from harness.isolation.wire import Unsupported
from harness.laws.case_error import CaseError
from harness.laws.contract import Contract
from harness.laws.law import Example, Law
from harness.record import Fault
from harness.record.property import COMPUTES_IN, REFUSES, REPEATABLE, RETURNS, SUBNORMALS


class Subject:
    """A case for its laws: callable on whole batches, in one format, on one device.

    Parameters
    ----------
    case
        The case.
    contract
        Its contract. If it is ``grouped``, the implementation reduces over all inputs. It is then called once for each
        index of the leading axis, and the results are stacked.
    format_
        The format in which it is checked.
    watch
        Observer of its calls; a new one when absent.
    device
        Device of the computation; laws are measured on the CPU.
    """

    def __init__(
        self, case: Case, contract: Contract, format_: Format, watch: Watch | None = None, device: str = CPU
    ) -> None:
        self.case = case
        self.contract = contract
        self.declares: Mapping[str, Any] = add_defaults(contract, case.declares)
        self.format = format_under(self.declares, format_)
        self.device = device
        self._returns_arrays = False
        self.returns_number = False
        """Whether the last answer was a Python number."""
        self.host: Host = getattr(case.function, "host", HERE)
        """The place where the implementation is called."""
        # Trainers and loaders draw random numbers by trade, functions of tensors do not.
        self.watch = watch or self.host.watch(draws=contract.output is not None)
        self._agreed: dict[tuple[torch.Size | None, ...], tuple[int, ...] | None] = {}
        self._before: Callable[[Sequence[Any]], Sequence[Any]] = list
        self._after: Callable[[Any], Any] = _same

    def __call__(self, *inputs: Any) -> Any:
        """Call the implementation."""
        if not self.contract.grouped:
            return self.once(*inputs)
        outputs = self.each(list(zip(*inputs, strict=True)))
        shapes = {tuple(output.shape) for output in outputs}
        if len(shapes) > 1:
            raise CaseError(f"{self.case.name} returns tensors of different shapes: {sorted(shapes)}", Fault.SHAPE)
        return torch.stack(outputs)

    def measure(self, law: Law, example: Example) -> Measurement:
        """Measure a law on one example."""
        read = {name: example[name] for name in law.reads}
        return law.measure(self, **(flush_example(read, self.format) if self.format.flushes else read))

    def replace_function(self, function: Callable[..., Any]) -> "Subject":
        """Return the same subject with another implementation, which calls the case in another way in this process."""
        return Subject(replace(self.case, function=function, call=None), self.contract, self.format, self.watch)

    def wrap_calls(
        self, before: Callable[[Sequence[Any]], Sequence[Any]], after: Callable[[Any], Any] | None = None
    ) -> "Subject":
        """Return the same subject with changed arguments and a changed output.

        Parameters
        ----------
        before
            ``before(arguments)`` returns the arguments of the call.
        after
            ``after(output)`` returns the output; unchanged when absent.
        """
        subject = copy(self)
        subject._before, subject._after = before, after or _same
        return subject

    def run(self, *inputs: Any, sequence: str | None = None) -> Any:
        """Call an implementation that returns something other than a tensor.

        Parameters
        ----------
        inputs
            Its arguments.
        sequence
            Name of the :mod:`~harness.calling.sequence` of calls to make with the result.

        Raises
        ------
        CaseError
            If it raises an exception, or ends the program.
        NotApplicable
            If the adapter cannot be applied, or the implementation refuses such inputs as declared.
        """

        def call() -> tuple[Any, bool]:
            return self.host.called(self.case, self._before(inputs), self.contract.of_model, self.device, sequence)

        with self._skip_refusal(inputs):
            return self.attempt(self.case.name, lambda: self._after(self._take_result(call)))

    @contextmanager
    def _skip_refusal(self, inputs: Iterable[Any]) -> Iterator[None]:
        """Skip a call that raises because of inputs that the case declares to refuse."""
        try:
            yield
        except CaseError as error:
            if error.fault is Fault.RAISED and (reason := explain_refusal(self.declares, inputs)):
                raise NotApplicable(reason) from None
            raise

    def _take_result(self, call: Callable[[], tuple[Any, bool]]) -> Any:
        """Return the result of a call, and note whether it consists of another library's arrays."""
        try:
            output, self._returns_arrays = call()
        except MisplacedError as error:
            raise CaseError(f"{self.case.name} {error}", Fault.DEVICE) from error
        return output

    def once(self, *inputs: Any) -> Tensor:
        """Call the implementation once, also if the contract groups, and compare the shape with the contract.

        Raises
        ------
        CaseError
            If it raises an exception, or returns no tensor, or a tensor with a wrong shape or device.
        """
        shapes = _list_shapes(inputs)
        agreed = self._compute_shape(shapes)
        return self._check_output(self._convert_output(self.run(*inputs)), inputs, agreed, shapes)

    def each(self, calls: Sequence[Sequence[Any]]) -> list[Tensor]:
        """Call the implementation once per input, in a single message to another process if there is one.

        Raises
        ------
        CaseError
            As of :meth:`once`.
        """
        if self.host is HERE or not calls:
            return [self.once(*inputs) for inputs in calls]
        checked = []
        for output, inputs in zip(self.run_each(calls), calls, strict=True):
            shapes = _list_shapes(inputs)
            checked.append(
                self._check_output(self._convert_output(output), inputs, self._compute_shape(shapes), shapes)
            )
        return checked

    def run_each(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Return whatever the implementation returns for each input, in a single message like :meth:`each`.

        Raises
        ------
        CaseError, NotApplicable
            As of :meth:`run`.
        """

        def call() -> Any:
            arranged = [self._before(inputs) for inputs in calls]
            outputs = self._take_result(lambda: self.host.called_each(self.case, arranged, self.device))
            return [self._after(output) for output in outputs]

        if self.host is HERE or not calls:
            return [self.run(*inputs) for inputs in calls]
        with self._skip_refusal(x for inputs in calls for x in inputs):
            return self.attempt(self.case.name, call)  # type: ignore[no-any-return]

    def _check_output(
        self,
        output: Tensor,
        inputs: Sequence[Any],
        agreed: tuple[int, ...] | None,
        shapes: tuple[torch.Size | None, ...],
    ) -> Tensor:
        """Check the shape and device of an output, and the shapes of the inputs."""
        if shapes != _list_shapes(inputs):
            raise CaseError(f"{self.case.name} changes the shape of its inputs", Fault.STATE)
        first = next((value for value in inputs if isinstance(value, Tensor)), None)
        if first is not None and output.device != first.device:
            raise CaseError(
                f"{self.case.name} returns a tensor on {output.device} for inputs on {first.device}", Fault.DEVICE
            )
        if agreed is not None and output.shape != agreed:
            of_inputs = ", ".join(str(list(shape)) for shape in shapes if shape is not None)
            otherwise = self.contract.of_one_number if not output.shape and len(agreed) == 1 else ""
            raise CaseError(
                f"{self.case.name} returns shape {list(output.shape)} for inputs of shape {of_inputs}; the contract "
                f"requires {self.contract.signature}, that is {list(agreed)}{otherwise}",
                Fault.SHAPE,
            )
        return round_as_declared(output, self.declares, self.format)

    def call_on_other_shapes(self, *inputs: Any, sequence: str | None = None) -> Tensor:
        """Call the implementation once on inputs with shapes outside the contract, and return any tensor.

        A ``sequence`` is that of :meth:`run`.

        Raises
        ------
        CaseError
            If it raises, or returns no tensor.
        """
        return self._convert_output(self.run(*inputs, sequence=sequence))

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """Run an action of the implementation, and describe its failure in plain words.

        Raises
        ------
        CaseError
            If it fails.
        NotApplicable
            If the adapter cannot be applied.
        """
        try:
            return self.watch.call(action)
        except (CaseError, NotApplicable, KeyboardInterrupt, GoneError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it becomes the verdict
            failure = self._make_failure(what, error)
        # Raise it here to release the frames of the failed call, which may hold all of the memory.
        raise failure

    def misfit(self, error: BaseException) -> CaseError | NotApplicable:
        """Return the error of a law about a result that was not checked before."""
        if reason := explain_missing_compiler(error):
            return NotApplicable(reason)
        return self._make_misfit(f"{shorten_error(error)}{_find_place(error)}")

    def _make_misfit(self, words: str) -> CaseError:
        return CaseError(
            f"{self.case.name} does not return the result that its contract requires, "
            f"{self.contract.signature}: {words}"
        )

    def _make_failure(self, what: str, error: BaseException) -> CaseError | NotApplicable:
        if isinstance(error, ReshapedError):
            return CaseError(f"{self.case.name} changes the shape of its inputs", Fault.STATE)
        if isinstance(error, MisfitError):
            return self._make_misfit(str(error))
        if isinstance(error, RemoteError):
            if error.kind == "misfit":
                return self._make_misfit(error.words)
            fault, text = _ELSEWHERE[error.kind]
            signature = self._write_signature(what, error.words) if fault is Fault.RAISED else ""
            raised = error.words if fault is Fault.RAISED else ""
            return CaseError(f"{text.format(what, error.words, error.place)}{signature}", fault, raised)
        words = shorten_error(error)
        if isinstance(error, (SystemExit, GeneratorExit)):
            return CaseError(f"{what} ends the process: {words}", Fault.EXITED)
        if isinstance(error, MemoryError) or "can't allocate memory" in words:
            return CaseError(f"{what} requests more memory than allowed: {words}", Fault.MEMORY)
        if reason := explain_missing_numpy(self.case, error) or explain_missing_compiler(error):
            return NotApplicable(reason)
        return CaseError(
            f"{what} raises {words}{_find_place(error)}{self._write_signature(what, words)}", Fault.RAISED, words
        )

    def _write_signature(self, what: str, words: str) -> str:
        """Return the signature of the contract if the exception mentions a shape."""
        stumbles = what == self.case.name and _OF_SHAPES.search(words) is not None
        return f"; it is called as {self.contract.signature}; use `--call` to call it differently" if stumbles else ""

    def _convert_output(self, output: Any) -> Tensor:
        """Return a plain tensor; Python numbers become one.

        Raises
        ------
        CaseError
            If the output is something else, or raises when it is read.
        """
        try:
            return self._plain(output)
        except CaseError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever its class raises
            words = f"{self.case.name} returns an object that cannot be read as a tensor: {shorten_error(error)}"
            failure = CaseError(words, Fault.TYPE)
        raise failure

    def _plain(self, output: Any) -> Tensor:
        self.returns_number = isinstance(output, (int, float))
        if self.returns_number:
            return torch.tensor(float(output), dtype=torch.float64)
        if not isinstance(output, Tensor):
            kind = output.kind if isinstance(output, Unsupported) else kind_of(output)
            is_tensor = isinstance(output, Unsupported) and (kind == COMPLEX or kind.startswith("a tensor"))
            hint = "; check a NumPy implementation with `--call numpy`" if kind.startswith("numpy.") else ""
            raise CaseError(
                f"{self.case.name} returns {kind}{'' if is_tensor else f', not a tensor{hint}'}", Fault.TYPE
            )
        # Not its own methods, which may say anything.
        with DisableTorchFunctionSubclass():
            plain = output if type(output) is Tensor else Tensor.as_subclass(output, Tensor)
        if plain.layout is not torch.strided or plain.is_nested or plain.is_quantized:
            raise CaseError(f"{self.case.name} returns a tensor that is sparse, nested or quantized", Fault.TYPE)
        if plain.is_complex():
            raise CaseError(f"{self.case.name} returns {COMPLEX}", Fault.TYPE)
        return plain

    @property
    def output_axes(self) -> tuple[str, ...] | None:
        """Return the names of the axes of an output; ``None`` if the laws check the shape."""
        return ("n",) if self.declares.get("reduction") == "none" else self.contract.output

    def _compute_shape(self, shapes: tuple[torch.Size | None, ...]) -> tuple[int, ...] | None:
        """Return the shape that the contract requires; ``None`` if its laws check the shape."""
        if shapes not in self._agreed:
            self._agreed[shapes] = self._ask_for_shape(shapes)
        return self._agreed[shapes]

    def _ask_for_shape(self, shapes: tuple[torch.Size | None, ...]) -> tuple[int, ...] | None:
        names = self.output_axes
        if names is None:
            return None
        lengths: dict[str, int] = {}
        for shape, input_axes in zip(shapes, self.contract.axes.values(), strict=False):
            if shape is not None:
                lengths.update(zip(input_axes.names[self.contract.grouped :], shape, strict=True))
        return tuple(lengths[name] for name in names) if lengths.keys() >= set(names) else None

    def gradient(
        self,
        inputs: tuple[Tensor, ...],
        cotangent: Tensor | None = None,
        *,
        of: int = 0,
        before: Sequence[Any] | None = None,
    ) -> Tensor:
        """Return the gradient in the dtype of the case, through autograd.

        Parameters
        ----------
        inputs
            Arguments of the implementation.
        cotangent
            Weights of the outputs, with the same shape; ones when absent.
        of
            Position of the argument to differentiate by.
        before
            Arguments of another call, which is made before the backward pass.
        """
        arguments = _copy_leaves(inputs, of)
        output, *_ = [self(*arguments)] if before is None else self.each([arguments, _copy_leaves(before, of)])
        weights = torch.ones_like(output) if cotangent is None else cotangent
        if not output.requires_grad:
            if self._returns_arrays:
                raise NotApplicable(NO_AUTOGRAD)
            group = [argument[0] for argument in arguments] if self.contract.grouped else arguments
            if self.attempt(self.case.name, lambda: self.host.detaches(self.case, group)):
                raise NotApplicable(ADAPTER_DETACHES)
            with self.host.seeing() as seen:
                self.run(*group)
            if seen.left:
                raise NotApplicable(NO_AUTOGRAD)
            raise CaseError(
                f"{self.case.name} returns a tensor that autograd cannot follow back to its input", Fault.NO_GRADIENT
            )
        (gradient,) = self.attempt(
            f"the backward pass of {self.case.name}", lambda: grad([output], [arguments[of]], [weights])
        )
        return torch.zeros_like(arguments[of]) if gradient is None else self._convert_output(gradient)


COMPLEX = "complex numbers"

_OF_SHAPES = re.compile(r"\b(shapes?|sizes?|dimensions?|positional argument|broadcast)", re.IGNORECASE)
"""Words in an exception that indicate a problem with the shape of an argument."""

_ELSEWHERE = {
    "exited": (Fault.EXITED, "{0} ends the process: {1}"),
    "memory": (Fault.MEMORY, "{0} requests more memory than allowed: {1}"),
    "raised": (Fault.RAISED, "{0} raises {1}{2}"),
}
"""Messages for each kind of exception raised in another process."""


def _copy_leaves(inputs: Sequence[Any], of: int) -> list[Any]:
    """Return copies of the arguments; the selected one requires a gradient."""
    arguments = [argument.detach().clone() for argument in inputs]
    arguments[of].requires_grad_()
    return arguments


def _list_shapes(inputs: Sequence[Any]) -> tuple[torch.Size | None, ...]:
    """Return the shapes of the tensors, and ``None`` for other values."""
    return tuple(value.shape if isinstance(value, Tensor) else None for value in inputs)


def _find_place(error: BaseException) -> str:
    """Return the place where an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return place((frame.filename, frame.lineno) for frame in reversed(frames))


def _same(output: Any) -> Any:
    return output


# What a case declares


def add_defaults(contract: Contract, declares: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared conventions of a contract and traits, with the defaults of the other conventions."""
    return {**{name: values[0] for name, values in contract.conventions.items()}, **declares}


TRAITS: Mapping[str, tuple[str, ...]] = {
    COMPUTES_IN: FLOATS,
    RETURNS: FLOATS,
    SUBNORMALS: ("kept", "flushed"),
    REPEATABLE: ("yes", "no"),
    REFUSES: ("nothing", "nan", "inf", "non_finite"),
}
"""Each property with the values that may be declared."""

OF_ANY_CALL = {"inputs_unmodified", "output_is_its_own", "output_like_input", "no_rows"}
"""Laws that what draws random numbers keeps too: they count faults of a call, and compare no numbers."""


def explain_exemption(declares: Mapping[str, Any], format_: Format, law: str) -> str | None:
    """Return why a law does not apply to such an implementation in a format; ``None`` if it applies."""
    computes_in = declares.get(COMPUTES_IN)
    if computes_in is not None and FORMATS[computes_in].precision < format_.precision:
        return f"it computes in {computes_in}, so {format_.name} inputs give no {format_.name} results"
    if declares.get(REPEATABLE) == "no" and law not in OF_ANY_CALL:
        return "it draws random numbers, so two calls do not agree"
    return None


REFUSED = {"nan": "NaN", "inf": "infinities", "non_finite": "NaN and infinities"}
"""Refused inputs, in words."""


def explain_refusal(declares: Mapping[str, Any], inputs: Iterable[Any]) -> str:
    """Return the reason if such an implementation refuses some of the inputs; an empty text otherwise."""
    choice = declares.get(REFUSES, "nothing")
    kinds = {"nan": (torch.isnan,), "inf": (torch.isinf,), "non_finite": (torch.isnan, torch.isinf)}.get(choice, ())
    numbers = [x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
    return f"it refuses {REFUSED[choice]}" if any(bool(kind(x).any()) for kind in kinds for x in numbers) else ""


def format_under(declares: Mapping[str, Any], format_: Format) -> Format:
    """Return the format of the implementation: without subnormal numbers if it flushes them."""
    return replace(format_, flushes=True) if declares.get(SUBNORMALS) == "flushed" else format_


def flush_example(example: Mapping[str, Any], format_: Format) -> dict[str, Any]:
    """Return an example with zeros for subnormal numbers, as the implementation treats them."""
    return {name: _flush(x, format_) if isinstance(x, Tensor) else x for name, x in example.items()}


def _flush(x: Tensor, format_: Format) -> Tensor:
    return torch.where(x.abs() < format_.tiny, torch.zeros_like(x), x) if x.is_floating_point() else x


def round_as_declared(output: Tensor, declares: Mapping[str, Any], format_: Format) -> Tensor:
    """Return the output, rounded to the format if the case declares another dtype for it and it has this dtype."""
    name = str(output.dtype).removeprefix("torch.")
    return output.to(format_.dtype) if declares.get(RETURNS) == name != format_.name else output


class Answered(Subject):
    """A subject that was called before, with the result of that call."""

    def __init__(self, subject: Subject, result: Tensor) -> None:
        vars(self).update(vars(subject))
        self._result = result

    def __call__(self, *_: Any) -> Tensor:
        """Return the result."""
        return self._result
