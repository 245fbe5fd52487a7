"""CUDA graphs: a step that is recorded once and replayed as one launch.

Importing this module imports no torch.
"""

from collections.abc import Callable

WARM_CALLS = 3
"""Warm-up calls on a side stream before the capture, so that setup work is not recorded."""


class NotCapturableError(Exception):
    """Reason why a step has no graph."""


def captured(function: Callable[[], object], device: str) -> Callable[[], object]:
    """Record the work that a function queues, and return a function that replays it.

    The function must queue the same work on the same memory at every call. Warm-up and capture use one side stream:
    libraries create their handles per stream, which cannot be recorded.

    Raises
    ------
    NotCapturableError
        If the device has no graphs, or the function does something that cannot be recorded, such as waiting for the
        device.

    References
    ----------
    PyTorch documentation, "CUDA semantics", section "CUDA Graphs".
    """
    import torch

    if device != "cuda":
        raise NotCapturableError(f"torch records graphs only on cuda, not on {device}")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_CALLS):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            function()
    except RuntimeError as error:
        torch.cuda.synchronize()
        raise NotCapturableError(f"recording failed: {str(error).splitlines()[0]}") from error
    return graph.replay
