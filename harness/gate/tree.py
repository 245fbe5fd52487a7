"""The two trees a time gate compares: the working tree, and another commit in a separate folder."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.error import UsageError

BASE_FOLDER, CANDIDATE_FOLDER = "base", "here"
"""Names of the trees' folders: equally long, as the length of a path changes where things lie in memory."""


@dataclass(frozen=True)
class Trees:
    """Two trees in one folder.

    Parameters
    ----------
    folder
        The folder with both, and with compiled Python files.
    commit
        The commit that is the base.
    """

    folder: Path
    commit: str

    @property
    def base(self) -> Path:
        """The tree of the base."""
        return self.folder / BASE_FOLDER

    @property
    def candidate(self) -> Path:
        """The working tree."""
        return self.folder / CANDIDATE_FOLDER

    @property
    def images(self) -> Path:
        """Folder of the images that both load."""
        return self.folder / "images"


@contextmanager
def trees(reference: str) -> Iterator[Trees]:
    """Check another commit out next to the working tree, and remove it at the end.

    Raises
    ------
    UsageError
        If this is no git repository, or it has no such commit.
    """
    top = Path(git("rev-parse", "--show-toplevel"))
    git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    commit = git("merge-base", reference, "HEAD")
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as name:
        made = Trees(Path(name).resolve(), commit)
        git("worktree", "add", "--detach", "--quiet", str(made.base), commit)
        made.candidate.symlink_to(top, target_is_directory=True)
        try:
            yield made
        finally:
            git("worktree", "remove", "--force", str(made.base))


def git(*arguments: str) -> str:
    """Return what git says.

    Raises
    ------
    UsageError
        If it fails, with its own words.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise UsageError("`git` not found", rule="the time gate compares commits", remedy="install git") from error
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.strip().splitlines()
        raise UsageError(
            f"`git {' '.join(arguments)}` failed: {complaint[-1] if complaint else 'no such commit'}",
            remedy="name a commit, branch or tag as the base; a shallow clone in CI needs `fetch-depth: 0`",
        ) from error
    return done.stdout.strip()
