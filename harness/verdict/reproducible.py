"""Drawing the same examples whatever else is loaded.

Hypothesis mixes constants of the local modules that are loaded into its draws. That is a gain where a test looks at the
code around it; here it would make a verdict depend on the process and on the folder it was reached in. There is no
setting for it, so its collector is replaced for as long as examples are drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from hypothesis.internal.conjecture import providers


@contextmanager
def reproducible() -> Iterator[None]:
    """Draw without the constants of local modules in the body; older versions of Hypothesis have none."""
    collector = getattr(providers, "_get_local_constants", None)
    if collector is None:
        yield
        return
    providers.CONSTANTS_CACHE.cache.clear()
    try:
        with mock.patch.object(providers, "_get_local_constants", type(providers.GLOBAL_CONSTANTS)):
            yield
    finally:
        providers.CONSTANTS_CACHE.cache.clear()
