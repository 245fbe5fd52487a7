"""An accelerator that needs no hardware, registered in Python as torch's device ``sim``.

A folder on ``PYTHONPATH`` installs it: torch loads it by its entry point, as any backend that is a package of its own.
``machine`` has the host, its clock, queues, caches and memory; ``timeline`` the streams and events; ``backend`` carries
out operations of torch and charges them to the machine. The environment variable ``SIMULATED_DEVICE`` holds the
parameters as JSON, see :class:`simulated_device.machine.Parameters`; without it, there is no such device.
"""

import os


def register() -> None:
    """Register the device, unless no parameters are given."""
    if "SIMULATED_DEVICE" in os.environ:
        from simulated_device import backend

        backend.register()
