"""CUDA graphs: a step recorded once and replayed as one launch, where the device and the step allow it.

Importing this module imports no torch.
"""

from collections.abc import Callable

WARM_CALLS = 3
"""Warm-up calls on a side stream before the capture, so that setup work is not recorded."""


class NotCapturableError(Exception):
    """Why a step has no graph."""


def captured(function: Callable[[], object], device: str) -> Callable[[], object]:
    """Record what a function queues, and return what replays it.

    Parameters
    ----------
    function
        Queues the same work on the same memory at every call; its inputs and parameters stay where they are.
    device
        Type of the accelerator.

    Raises
    ------
    NotCapturableError
        If the device has no such graphs, or the function does what cannot be recorded, such as waiting for the device
        or copying from ordinary memory of the host.

    Notes
    -----
    Warm-up and capture use one stream, other than the default one: libraries set up their handles stream by stream,
    and that cannot be recorded.

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
