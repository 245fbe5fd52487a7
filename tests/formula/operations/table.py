"""Forty operations that the catalog does not have, as in papers, each with a right and a wrong implementation.

They judge the judge: all were chosen before the first run on them, ten at a time, on all laws in two dtypes.

Three right implementations had a real defect, and were rewritten or have narrower inputs. The gradient of ``log1mexp``
was NaN below 2^-25, and the gradient of ``hellinger`` at two zeros. ``vae_kl`` overflowed in float32 from v = 88.72284
on, where the exact value does not.

The judge was wrong about four, and was corrected or given a form. It reported the eps of the wrong ``log1mexp`` and a
wrong ``log_cauchy`` beyond 1e17 as lost digits. It missed the gradient of NaN of ``p * sqrt(p)`` at zero, in a
``tsallis_entropy``. It flagged the right ``by_largest`` at the second of three equal largest entries, and next to
infinity over infinity.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Function = Callable[..., Tensor]


class Operation(NamedTuple):
    """A formula with the options of its inputs, and a right and a wrong implementation."""

    formula: str
    right: Function
    wrong: Function
    inputs: tuple[str, ...] = ()
    form: str | None = None


OPERATIONS: dict[str, Operation] = {}
"""Operations by name. Importing :mod:`formula.operations.catalogue` fills them."""


def operation(formula: str, *inputs: str, form: str | None = None) -> Callable[[Function], Function]:
    """Note a right implementation of a formula. The next function of its module is the wrong one."""

    def note(right: Function) -> Function:
        OPERATIONS[right.__name__] = Operation(formula, right, right, inputs, form)
        return right

    return note
