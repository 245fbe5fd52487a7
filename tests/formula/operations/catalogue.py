"""All operations by name, from the modules that note them."""

from itertools import pairwise

from formula.operations import distributions, elementwise, losses, rows
from formula.operations.table import OPERATIONS
from formula.operations.table import Operation as Operation

for _module in (distributions, elementwise, losses, rows):
    for _right, _wrong in pairwise(vars(_module).items()):
        if _right[0] in OPERATIONS:
            assert _wrong[0].startswith(f"{_right[0]}_"), _wrong
            OPERATIONS[_right[0]] = OPERATIONS[_right[0]]._replace(wrong=_wrong[1])
