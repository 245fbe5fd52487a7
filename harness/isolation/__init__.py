"""Running untrusted code in another process.

``child`` starts such a process. It runs ``program``: copies of a few modules under a random name, because the code
under test must not reach the harness. There, ``callee`` reads requests, ``request_handler`` and
``loader_handler`` answer them, and ``wire`` and ``encoding`` carry data. On this side ``remote`` is the place in which
a function is called, ``proxy`` is the function that stands for it, and ``loader_client`` reads loaders. Processes fork
from a ``fork_server`` that has imported torch (``fork_loop``, ``forked_process``, ``preload``). ``environment`` keeps
secrets from them, ``limits`` bound time and memory, ``lost_worker`` explains how a process was lost, and ``parent``
ends processes whose command is gone.
"""
