"""User code does not see the secrets of the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.isolation.environment import hidden_patterns, user_environment

SECRETS = (
    "GITHUB_TOKEN",
    "GITHUB_PATH",
    "ACTIONS_RUNTIME_URL",
    "RUNNER_TEMP",
    "CI_JOB_TOKEN",
    "CI_REPOSITORY_URL",
    "API_KEY",
    "aws_secret_access_key",
    "DEPLOY_TOKENS",
    "PGPASSWORD",
)

HARMLESS = ("KEYBOARD", "TOKENIZERS_PARALLELISM", "CI", "OMP_NUM_THREADS", "MONKEY")


def test_secrets_are_left_out_and_similar_names_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of a name decides, not a part of a word, because libraries have settings such as KEYBOARD."""
    for name in (*SECRETS, *HARMLESS):
        monkeypatch.setenv(name, "1")
    variables = user_environment()
    assert not variables.keys() & set(SECRETS)
    assert variables.keys() >= set(HARMLESS)


def test_the_project_names_further_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest table counts, also from a folder below it; other variables stay."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nhide = ["ACME_*"]\n', encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("ACME_LOGIN", "1")
    monkeypatch.setenv("OTHER_LOGIN", "1")
    assert "ACME_LOGIN" not in user_environment()
    assert "OTHER_LOGIN" in user_environment()


@pytest.mark.parametrize("text", ["[tool.harness\n", "[tool.harness]\nhide = 3\n", "[tool]\nharness = 1\n", ""])
def test_a_table_that_cannot_be_read_hides_nothing_more(tmp_path: Path, text: str) -> None:
    """The commands that need the table report it."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert hidden_patterns(tmp_path) == ()


def test_temporary_files_have_a_folder_of_their_own_and_compiled_code_is_kept(tmp_path: Path) -> None:
    """A compiler's cache would be lost with the folder."""
    variables = user_environment(str(tmp_path))
    assert variables["TMPDIR"] == str(tmp_path)
    assert not variables["TORCHINDUCTOR_CACHE_DIR"].startswith(str(tmp_path))


def test_user_code_can_ask_for_cuda_before_its_process_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the user wants the stricter answer of CUDA itself."""
    assert user_environment()["PYTORCH_NVML_BASED_CUDA_CHECK"] == "1"
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "0")
    assert user_environment()["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"


READS = """
import json, os, pathlib
before = pathlib.Path("/proc/self/environ")
seen = {"environ": dict(os.environ), "at start": before.read_text() if before.is_file() else ""}
pathlib.Path("seen.json").write_text(json.dumps(seen))

def softmax(logits):
    return logits.softmax(-1)
"""


@pytest.mark.parametrize("isolation", ["--isolate", "--no-isolate"])
def test_a_check_shows_no_secret_to_the_module(tmp_path: Path, isolation: str) -> None:
    """Neither the variables of the process nor those with which it was started have one, if it is isolated."""
    (tmp_path / "homework.py").write_text(READS, encoding="utf-8")
    environment = {**os.environ, **dict.fromkeys(SECRETS, "sesame")}
    words = [sys.executable, "-P", "-m", "harness", "check", "homework.py:softmax", "--law", "rows_sum_to_one"]
    subprocess.run([*words, isolation], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert ("sesame" in seen["environ"].values() or "sesame" in seen["at start"]) == (isolation == "--no-isolate")
