"""Shared by benchmarks of steps, which are called many thousand times."""

import jaxtyping
import pytest


@pytest.fixture
def shapes_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the shape checks of the specimens, which take longer than their steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
