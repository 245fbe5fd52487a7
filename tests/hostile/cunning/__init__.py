"""Wrong implementations that try to pass: they attack the harness, or answer correctly only when it calls them.

``judge`` patches and overwrites the code that judges them. ``sign`` is right if a call looks like a check. ``line``
writes to the connection for answers. ``system`` uses processes, signals and files. ``evasion`` avoids an answer.
``below`` uses dispatchers, audit hooks and the memory of other processes. The error is a quarter or more, which the law
of the value detects on any row.

Four modules have separate cases. ``backward`` has wrong gradients, ``training`` wrong training steps and loaders.
``delivering`` has wrong loaders of other libraries, ``proved`` functions that are wrong for some numbers.

``detecting`` is the list of what no check promises to find: code that detects the check.
"""

from hostile.cunning import backward as backward
from hostile.cunning import below, evasion, judge, line, sign, system
from hostile.cunning import delivering as delivering
from hostile.cunning import detecting as detecting
from hostile.cunning import proved as proved
from hostile.cunning import training as training

from harness.case import Case

CASES = [
    Case(function, "softmax", name=f"{module.__name__.rpartition('.')[2]}.{name}")
    for module in (judge, sign, line, system, evasion, below)
    for name, function in vars(module).items()
    if getattr(function, "__module__", None) == module.__name__
    and not name.startswith("_")
    and not isinstance(function, type)
]
