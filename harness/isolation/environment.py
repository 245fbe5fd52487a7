"""Environment variables of processes that run user code: the variables of the command, without its secrets."""

import os
import re
import tempfile
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from harness.error import UsageError
from harness.record.storage import PYPROJECT, find_harness_table, read_harness_table

_OF_THE_CI = ("GITHUB_*", "ACTIONS_*", "RUNNER_*", "CI_JOB_JWT*", "CI_REPOSITORY_URL")
"""Variables with which a CI job is controlled: its tokens, and the files by which a step changes the next ones."""

_SECRET = re.compile(r"(^|_)(TOKEN|SECRET|KEY|CREDENTIAL)S?(_|$)|PASSWORD|PASSWD", re.IGNORECASE)
"""Words of a name that announce a secret: ``API_KEY``, but neither ``KEYBOARD`` nor ``TOKENIZERS_PARALLELISM``."""


def user_environment(scratch: str | None = None) -> dict[str, str]:
    """Return the environment for a process that runs user code.

    Parameters
    ----------
    scratch
        The folder for its temporary files; the caller removes it. The folder of this process when absent.

    Notes
    -----
    The variables of the CI are left out, and so are names that announce a secret, and names that match a pattern of
    ``hide`` in the table ``[tool.harness]`` of the nearest ``pyproject.toml``, or of the base of a gate.
    """
    hidden = (*_OF_THE_CI, *hidden_patterns(Path.cwd()), *_of_the_base)
    variables = {
        name: value
        for name, value in os.environ.items()
        if not (_SECRET.search(name) or any(fnmatchcase(name, pattern) for pattern in hidden))
    }
    # Otherwise, no process could use CUDA that is forked after user code has asked whether it is available.
    variables.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if scratch is not None:
        # Compiled code is worth keeping, so it does not go to the folder that is removed.
        cache_folder = Path(tempfile.gettempdir()) / f"torchinductor_{os.getuid()}"
        variables.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder))
        variables["TMPDIR"] = scratch
    return variables


@cache
def hidden_patterns(start: Path) -> tuple[str, ...]:
    """Return the patterns of ``hide`` of the project; none where its file cannot be read, which other code reports."""
    for folder in (start, *start.parents):
        if (folder / PYPROJECT).is_file():
            try:
                table: Any = read_harness_table(folder / PYPROJECT)
            except UsageError:
                return ()
            if table is not None:
                return _read_patterns(table)
    return ()


def hide_as_base(document: Any) -> None:
    """Hide the patterns of a base's ``pyproject.toml``, too: a branch could remove them from its own."""
    _of_the_base.update(_read_patterns(find_harness_table(document)))


_of_the_base: set[str] = set()


def _read_patterns(table: object) -> tuple[str, ...]:
    patterns = table.get("hide") if isinstance(table, dict) else None
    return tuple(map(str, patterns)) if isinstance(patterns, list) else ()
