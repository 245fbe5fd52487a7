"""The name of a notebook cell: the kernel compiles each cell under the name of a temporary file."""

import sys


def cell(file: str) -> str:
    """Return ``cell 3`` for the file of the third cell that was run; other files are returned unchanged."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    known = None if shell is None else shell.compile.format_code_name(file)
    return file if known is None else f"cell {known[1].removeprefix('In[').removesuffix(']')}"
