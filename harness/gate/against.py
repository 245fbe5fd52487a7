"""The time gate: the working tree against another commit in a separate folder, from the trees to findings."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.error import UsageError
from harness.gate.arm import BASE, CANDIDATE, NULL, ArmError, CaseSource
from harness.gate.evidence import Evidence
from harness.gate.finding import comparisons, margins_of, matched, on_time, timed
from harness.gate.policy import Policy, read_policy
from harness.gate.trial import Trial, TrialSettings, alone
from harness.record import Comparison, GateFinding, Outcome

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
        worktrees = Trees(Path(name).resolve(), commit)
        git("worktree", "add", "--detach", "--quiet", str(worktrees.base), commit)
        worktrees.candidate.symlink_to(top, target_is_directory=True)
        try:
            yield worktrees
        finally:
            git("worktree", "remove", "--force", str(worktrees.base))


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


@dataclass(frozen=True)
class TimeVerdict:
    """Verdict of the time gate.

    Parameters
    ----------
    findings
        A sentence on each case, and on the measurement.
    comparisons
        The ratios with their intervals.
    evidence
        The measurements.
    """

    findings: tuple[GateFinding, ...]
    comparisons: tuple[Comparison, ...] = ()
    evidence: Evidence | None = None


def against(
    reference: str,
    policy: Policy,
    *,
    contract: str | None = None,
    data: str | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> TimeVerdict:
    """Compare the time of every case with its time at another commit.

    Raises
    ------
    UsageError
        If there is no such commit, or another measurement is running.
    """
    start_s = time.perf_counter()
    with alone(), trees(reference) as both:
        old = read_policy(both.base, policy)
        sources = _sources(both, policy, contract)
        settings = TrialSettings(policy.budget_s, lambda case: margins_of(policy, case), seed)
        trial = Trial(sources, settings, progress, start_s=start_s)
        try:
            before, current = trial.cases()
        except ArmError as error:
            remedy = "" if trial.left_s > 0 else f" of {policy.budget_s:g} s; use a larger `--budget`"
            return TimeVerdict((on_time("", Outcome.NO_VERDICT, f"The cases cannot be loaded: {error}{remedy}."),))
        policy.reject_unknown(current)
        trial.lay_out_images(data)
        pairs = matched(before, current, old, policy)
        evidence = trial.run(pairs.compared)
    ratios = comparisons(evidence, policy)
    return TimeVerdict((*pairs.findings, *timed(evidence, ratios)), tuple(ratios), evidence)


def _sources(both: Trees, policy: Policy, contract: str | None) -> Mapping[str, CaseSource]:
    places = {BASE: both.base, CANDIDATE: both.candidate, NULL: both.base}
    return {
        arm: CaseSource(
            tree,
            policy.target,
            contract,
            both.images,
            compiled=both.folder / "compiled",
            renamed=policy.renamed if arm != CANDIDATE else {},
        )
        for arm, tree in places.items()
    }
