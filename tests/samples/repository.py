"""Git with a neutral author."""

import subprocess
from pathlib import Path

AUTHOR = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")


def git(*words: str, folder: Path | None = None) -> None:
    """Run Git in a folder, or in the working directory."""
    subprocess.run(["git", *AUTHOR, *words], cwd=folder, check=True, capture_output=True)


def commit_all(subject: str, *, folder: Path | None = None) -> None:
    """Make a repository of a folder, unless it is one, and commit all files."""
    git("init", "-q", "-b", "main", folder=folder)
    git("add", ".", folder=folder)
    git("commit", "-q", "-m", subject, folder=folder)
