"""Running user code in another process, which has neither the laws nor the oracle nor the secrets of the command.

``child`` is such a process, seen from the judge; ``program`` describes the code that it loads. There, ``callee`` loads
the code and reads requests, ``request_handler`` and ``loader_handler`` answer them, and ``wire`` and ``encoding`` carry
data. On this side ``remote`` is the place in which a function is called, ``proxy`` is the function that stands for it,
and ``loader_client`` reads loaders.

Processes are forks of a ``fork_server`` that has imported torch; ``fork_loop`` is its inside and ``forked_process`` a
fork. A ``standby`` process for user code is forked of a judge that knows nothing yet. ``preload`` serves trusted
workers. ``environment`` keeps secrets from user code, ``limits`` bound time and memory, ``lost_worker`` explains how a
process was lost, and ``parent`` ends processes whose command is gone.
"""
