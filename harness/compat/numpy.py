"""Undocumented names of NumPy."""

# No public way to list the features that `NPY_DISABLE_CPU_FEATURES` takes; `numpy.show_runtime` prints them.
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__  # type: ignore[import-not-found]


def list_features() -> list[str]:
    """Return the features of this processor for which NumPy has separate code, in NumPy's order."""
    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]
