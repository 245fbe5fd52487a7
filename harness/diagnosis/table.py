"""The operations with known variants, by contract."""

from harness.diagnosis import of_elements, of_logits, of_losses, of_statistics
from harness.diagnosis.operation import Operation
from harness.laws.law import Contract

_OPERATIONS: dict[str, Operation] = {
    **of_logits.OPERATIONS,
    **of_losses.OPERATIONS,
    **of_statistics.OPERATIONS,
    **of_elements.OPERATIONS,
}


def operation_of(contract: Contract) -> Operation | None:
    """Return the operation of a contract; None if its variants are not known."""
    return _OPERATIONS.get(contract.name)
