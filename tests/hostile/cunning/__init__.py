"""Implementations that are wrong and go about to be called right: by reaching for their judge, or by telling it apart.

``judge`` has what patches and overwrites whatever may judge them, ``sign`` what is right as long as it seems to be
checked, ``line`` what writes where answers are read, ``system`` what turns to processes, signals and files,
``evasion`` what has nothing to be asked, and ``below`` what turns to dispatchers, audits and the memory of others. Each
is wrong by a quarter or more, which the law of the value sees on any row.

Four modules have cases of their own: in ``backward`` the gradient is wrong, in ``training`` what is learned or loaded,
in ``delivering`` what a loader of anybody's delivers, in ``proved`` what is said of some of all numbers.
"""

from hostile.cunning import backward as backward
from hostile.cunning import below, evasion, judge, line, sign, system
from hostile.cunning import delivering as delivering
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
