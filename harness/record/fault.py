"""The kinds of what an implementation does instead of answering. It imports nothing, so that anybody may read it."""

from enum import StrEnum


class Fault(StrEnum):
    """What an implementation did instead of answering as its contract asks: the kind of an error."""

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
