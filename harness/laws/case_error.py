"""The error that a case raises while a law calls it."""

from harness.record import Fault


class CaseError(Exception):
    """An error of an implementation: it raises an exception, or returns no tensor.

    Parameters
    ----------
    sentence
        Description of the error.
    fault
        Kind of the error.
    raised
        Text of the exception; empty without one.
    """

    def __init__(self, sentence: str, fault: Fault = Fault.TYPE, raised: str = "") -> None:
        self.fault = fault
        self.raised = raised
        super().__init__(sentence)
