"""Record of an operation, with links to the operations that wrote its inputs, and its public name in torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from harness.auditor.line import Line

UPSTREAM = 0.5
"""Input error above which a pole is not blamed on the operation that hits it."""


@dataclass(slots=True)
class Source:
    """State of an input.

    Parameters
    ----------
    writer
        The operation that wrote it; ``None`` if it existed before the step.
    error
        Normwise relative error; infinity if only the shadow is finite.
    spread
        Maximum of ``error`` and the mean elementwise error.
    nan, inf
        Whether it contains NaN or infinity.
    leaf
        Identity of the parameter, or ``None``.
    largest
        Largest absolute element.
    gradient_of
        Identity of the parameter, if this is its gradient from before the step; else ``None``.
    """

    writer: "Operation | None"
    error: float = 0.0
    spread: float = 0.0
    nan: bool = False
    inf: bool = False
    leaf: int | None = None
    largest: float = 0.0
    gradient_of: int | None = None

    @property
    def worst(self) -> float:
        """Maximum of both errors."""
        return max(self.error, self.spread)


@dataclass(slots=True)
class FirstNonfinite:
    """The first element that is not finite although all inputs are.

    Parameters
    ----------
    count, size
        Number of such elements, and total number of elements.
    rows, all_rows
        Number of rows with such elements, and total number of rows, along the last axis.
    operands
        The inputs of that element; ``None`` for an input that is not a single number.
    exact
        The value of the shadow there, or ``None``.
    again
        Whether the operation is not finite in float64 either, for the same operands.
    wide
        The result in float64 for the same operands; ``None`` if it is unknown.
    exact_operands
        The shadows of the operands.
    slope_of
        The function whose gradient autograd computes there, such as ``acos``; empty in the forward pass.
    reason
        What the arguments are, and a remedy, if the function has a value for no such arguments.
    """

    count: int
    size: int
    rows: int
    all_rows: int
    operands: tuple[float | None, ...]
    exact: float | None
    again: bool
    wide: float | None = None
    exact_operands: tuple[float | None, ...] = ()
    slope_of: str = ""
    reason: tuple[str, str] | None = None

    @property
    def has_right_operands(self) -> bool:
        """Whether the operands are known to agree with their shadows, up to less than half of their size."""
        operands = zip(self.operands, self.exact_operands, strict=False)
        pairs = [(x, y) for x, y in operands if x is not None and y is not None]
        return bool(pairs) and all(x == y or abs(x - y) < UPSTREAM * max(abs(x), abs(y)) for x, y in pairs)


@dataclass(slots=True, eq=False)
class Operation:
    """A result and the operation that wrote it.

    Parameters
    ----------
    number
        Position in execution order.
    line, name, backward
        Line, dispatched name, and whether autograd called it.
    dtype, shape
        Format and shape of the result.
    sources
        States of the inputs.
    unit
        Coarsest unit roundoff of inputs and result.
    error, spread, nan, inf
        As in :class:`Source`.
    read_error
        Largest error of the inputs.
    largest
        Largest absolute element.
    least
        Smallest element.
    read_range
        Smallest and largest element of the input of an exponential.
    added
        Absolute values of term and total of a scalar sum in 16 bits.
    meant
        Whether its infinities are intended, as in a mask.
    first_nonfinite
        The first element that is not finite, if the inputs are finite.
    vanished
        Share of elements that underflow to zero.
    has_emptied
        Whether an element underflows to zero.
    is_fair
        Whether the loss of digits may be harmless.
    absorbs
        Whether float64 absorbs a term too.
    cancelled
        Factor by which the terms cancel; zero if it was not computed.
    confirmed
        Whether balls confirm the error; ``None`` if they do not decide.
    question
        Function that asks the balls; ``None`` after it was called.
    """

    number: int
    line: Line
    name: str
    backward: bool
    dtype: torch.dtype
    shape: tuple[int, ...]
    sources: tuple[Source, ...]
    unit: float
    error: float = 0.0
    spread: float = 0.0
    nan: bool = False
    inf: bool = False
    read_error: float = 0.0
    largest: float = 0.0
    least: float = 0.0
    read_range: tuple[float, float] | None = None
    added: tuple[float, float] | None = None
    meant: bool = False
    first_nonfinite: FirstNonfinite | None = None
    vanished: float = 0.0
    has_emptied: bool = False
    is_fair: bool = False
    absorbs: bool = False
    cancelled: float = 0.0
    confirmed: bool | None = None
    question: Callable[[], bool | None] | None = None

    def is_confirmed(self) -> bool | None:
        """Check the error with balls, once."""
        if self.question is not None:
            self.confirmed, self.question = self.question(), None
        return self.confirmed

    @property
    def worst(self) -> float:
        """Maximum of both errors."""
        return max(self.error, self.spread)

    @property
    def writers(self) -> list["Operation"]:
        """The operations of the step that wrote its inputs."""
        return [source.writer for source in self.sources if source.writer is not None]

    def iter_origin_names(self) -> Iterator[str]:
        """Yield the names of the last operations that computed its value, itself first; ``x * x`` is a square."""
        operation: Operation | None = self
        for _ in range(_NEAR):
            if operation is None:
                return
            name, sources = bare(operation.name), operation.sources
            yield "square" if name == "mul" and len(sources) == 2 and sources[0] is sources[1] else name
            operation = sources[0].writer if sources else None

    def leads_to(self, later: "Operation") -> bool:
        """Whether a later operation depends on the result."""
        seen = pending = {later}
        while pending and self not in seen:
            pending = {
                writer for operation in pending for writer in operation.writers if writer.number >= self.number
            } - seen
            seen = seen | pending
        return self in seen

    @property
    def worst_source(self) -> Source | None:
        """The input from the step with the largest error."""
        written = [source for source in self.sources if source.writer is not None]
        return max(written, key=lambda source: source.worst, default=None)

    @property
    def origin(self) -> "Operation":
        """The operation that computed its value, if it only moves a value, else itself."""
        operation = self
        while operation.name.rstrip("_") in _MOVES and operation.sources and operation.sources[0].writer is not None:
            operation = operation.sources[0].writer
        return operation


_NEAR = 5
"""Number of operations that are searched for the function that computed a value."""

PICKS = {"index", "gather", "index_select", "masked_select", "take"}
"""Operations that return some elements of a tensor."""

_MOVES = {*PICKS, "clone", "_to_copy", "select", "cat", "neg", "copy"}


# Public names, instead of dispatched names such as ``rsub`` and ``_to_copy``

_KNOWN: Mapping[str, str] = {
    **dict.fromkeys(("addbmm", "baddbmm", "bmm", "mm", "mv"), "matmul"), **dict.fromkeys(("addmm", "addmv"), "linear"),
    **dict.fromkeys(("_native_batch_norm_legit", "_batch_norm_with_update"), "batch_norm"), "_to_copy": "Tensor.to",
    "linalg_inv_ex": "linalg.inv", "_linalg_solve_ex": "linalg.solve", "_safe_softmax": "scaled_dot_product_attention",
    "_fft_c2c": "fft", "_fft_r2c": "rfft", "_fft_c2r": "irfft",
    "_amp_foreach_non_finite_check_and_unscale": "GradScaler.unscale_", "_amp_update_scale": "GradScaler.update",
    "_thnn_fused_gru_cell": "GRUCell", "_thnn_fused_lstm_cell": "LSTMCell", "addcdiv": "division",
    "addcmul": "multiplication", "convolution": "conv", "embedding_dense": "embedding", "linalg_vector_norm": "norm",
    "log_sigmoid": "logsigmoid", "mkldnn_rnn_layer": "LSTM", "nll_loss2d": "nll_loss", "rsub": "sub",
    "threshold": "relu",
}  # fmt: skip

_FUSED = {"_fused_adam": "Adam", "_fused_adamw": "AdamW", "_fused_sgd": "SGD", "_fused_adagrad": "Adagrad"}


def bare(name: str) -> str:
    """Return the dispatched name without marks of in-place and multi-tensor variants: ``add`` for ``_foreach_add_``."""
    return name.removeprefix("_foreach_").rstrip("_")


def public_name(name: str) -> str:
    """Return the name of torch's public function for a dispatched operation."""
    plain = bare(name)
    if plain in _FUSED:
        return _FUSED[plain]
    if plain in _KNOWN:
        return _KNOWN[plain]
    for ending in ("_backward_data", "_backward", "_forward"):
        inner = plain.removesuffix(ending)
        if inner != plain:
            return public_name(inner) if ending == "_forward" else f"the gradient of {public_name(inner)}"
    return plain.removeprefix("native_").strip("_")
