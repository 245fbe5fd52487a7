"""What a file is called that is a cell of a notebook: the kernel compiles each under the name of a temporary file."""

import sys


def cell(file: str) -> str:
    """Return ``cell 3`` for the file of a notebook's third cell that was run; of any other the file as it is."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    known = None if shell is None else shell.compile.format_code_name(file)
    return file if known is None else f"cell {known[1].removeprefix('In[').removesuffix(']')}"
