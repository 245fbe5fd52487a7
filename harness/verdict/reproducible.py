"""Draw the same examples regardless of the loaded modules.

Hypothesis mixes constants of the local modules that are loaded into its draws. These constants help tests of the
surrounding code. Here, they would make a verdict depend on the process and on its folder. Hypothesis has no setting to
disable them, so this module replaces their collector while examples are drawn.
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
