"""The description of the machine in a run."""

import os
from pathlib import Path

import pytest
import torch
from samples.repository import git

from harness.execution import environment as module
from harness.execution.environment import accelerator_name, environment, usable_cores


def test_the_environment_is_that_of_this_process(workplace: Path) -> None:
    """Outside a repository the commit is unknown."""
    found = environment()
    assert found.torch == torch.__version__
    assert found.torch_threads == torch.get_num_threads()
    assert found.memory_bytes > 0
    assert found.git_commit is None
    assert found.git_dirty is None
    assert "torch" in found.versions
    assert "cpu capability" in found.torch_build
    assert len(found.torch_build["instructions"].split()) >= 2, "a vendor, and at least one that a kernel is chosen by"


def test_the_outermost_cache_is_the_one_that_is_named(tmp_path: Path) -> None:
    """Without information from the system, it is unknown."""
    for index, (level, size) in enumerate([(1, "32K"), (1, "32K"), (2, "1024K"), (3, "32768K")]):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "level").write_text(f"{level}\n")
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert module._find_last_cache(tmp_path) == (3, 32 << 20)
    assert module._find_last_cache(tmp_path / "none") is None


def test_commit_and_dirtiness_are_those_of_the_working_directory(workplace: Path) -> None:
    """A new file makes it dirty."""
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    clean = environment()
    (workplace / "new").touch()
    assert clean.git_commit is not None
    assert len(clean.git_commit) == 40
    assert (clean.git_dirty, environment().git_dirty) == (False, True)


def test_usable_cores_are_at_most_those_of_the_machine() -> None:
    """They may be a fraction of a core."""
    assert 0 < usable_cores() <= (os.cpu_count() or 1)


def test_an_accelerator_is_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its backend provides the name. Without one, the record has ``None``."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert accelerator_name() is None

    class Backend:
        @staticmethod
        def get_device_name() -> str:
            return "Abacus 9"

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch, "cuda", Backend)
    assert accelerator_name() == "Abacus 9 (cuda)"
