"""What several attacks do to the code that judges them, if it is in their process."""

import contextlib
import gc
import json
import sys
import threading
import time
from typing import Any


def loaded(name: str) -> Any:
    """Return an imported module; ``None`` without it."""
    return sys.modules.get(name)


def write_that_laws_hold() -> None:
    """Replace the writer of results."""
    real = json.dumps

    def dumps(value: Any, **named: Any) -> str:
        return real(value, **named).replace('"status": "broken"', '"status": "holds"').replace('"error"', '"holds"')

    json.dumps = dumps  # type: ignore[assignment]


def zero_returned_measurements() -> None:
    """Set each measurement to zero when a function returns it, by a profiler hook."""

    def hook(_: Any, event: str, value: Any) -> None:
        if event == "return" and type(value).__name__ == "Measurement":
            with contextlib.suppress(ValueError, AttributeError):
                value.deviation.flags.writeable = True
                value.deviation[...] = 0.0

    sys.setprofile(hook)


def zero_measurements_later(times: int) -> None:
    """Search for measurements in a thread, and set them to zero."""

    def mend() -> None:
        for _ in range(times):
            for found in gc.get_objects():
                if type(found).__name__ == "Measurement":
                    with contextlib.suppress(Exception):
                        found.deviation[...] = 0.0
            time.sleep(0.002)

    threading.Thread(target=mend, daemon=True).start()
