"""Steps that are called many thousand times."""

import jaxtyping
import pytest


@pytest.fixture
def shapes_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the specimens the check of their shapes, which takes longer than their steps; other tests call them too."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
