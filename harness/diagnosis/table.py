"""The operations with known variants, by contract."""

from harness.diagnosis import of_elements, of_logits, of_losses, of_statistics
from harness.diagnosis.of_formulas import operation_of_formula
from harness.diagnosis.of_shapes import with_shapes
from harness.diagnosis.operation import Operation
from harness.laws.contract import Contract

OPERATIONS: dict[str, Operation] = {
    **of_logits.OPERATIONS,
    **of_losses.OPERATIONS,
    **of_statistics.OPERATIONS,
    **of_elements.OPERATIONS,
}
"""By contract."""


def operation_of(contract: Contract) -> Operation | None:
    """Return the operation of a contract or of a formula; None if its variants are not known."""
    known = OPERATIONS.get(contract.name)
    return operation_of_formula(contract) if known is None else with_shapes(known, contract)
