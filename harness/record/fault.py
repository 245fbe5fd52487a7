"""Kinds of errors of an implementation. This module imports nothing, so that every other module can import it."""

from enum import StrEnum


class Fault(StrEnum):
    """Kind of an error: the behavior of an implementation that violates its contract."""

    RAISED = "raised"
    EXITED = "exited"
    """It ended the program, by ``sys.exit`` or outright."""
    KILLED = "killed"
    """A signal ended the process, such as a segmentation fault."""
    HUNG = "hung"
    """A call did not return in time."""
    MEMORY = "memory"
    """It asked for more memory than it may have."""
    TYPE = "type"
    """It returned something that is no tensor, or a tensor of a kind that holds no floats."""
    SHAPE = "shape"
    DEVICE = "device"
    NO_GRADIENT = "no gradient"
    """Autograd cannot follow its output back to its input."""
    STATE = "state"
    """It changed something of the process."""
    PRINTED = "printed"
    UNREPEATABLE = "unrepeatable"
    """It broke a law, and not when it was called again."""
    ORACLE = "oracle"
    """The two tiers of the oracle disagree; the implementation is not at fault."""
    NOTHING = "nothing"
    """No example had a row, so that nothing was checked."""
