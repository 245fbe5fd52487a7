"""Running user code in another process, which has neither the laws nor the oracle nor the secrets of the command.

A process is a fork of a ``fork_server``, which has imported torch, or a fresh interpreter; ``fork_loop`` is the server
from inside, and ``forked_process`` a fork. There are two kinds, with one way to start, limit and end them:

``delegate``
    runs a function of the harness, and gets and returns records: the judge's process (:mod:`harness.execution.worker`),
    user code that the gate and ``tune`` import, and the arms of the time gate.
``child``
    only calls user code, and gets and returns tensors. There, ``callee`` loads the code, and ``request_handler`` and
    ``loader_handler`` answer; ``wire`` and ``encoding`` carry data. On the judge's side, ``remote`` is the place in
    which a function is called, ``proxy`` is the function that stands for it, and ``loader_client`` reads loaders. The
    first one is a ``standby`` process, which the judge forks before it knows what to judge.

``environment`` keeps secrets from user code, ``limits`` bound time and memory, ``lost_worker`` explains how a process
was lost, ``parent`` ends processes whose command is gone, and ``unchanged`` refuses modules that user code has changed.
"""
