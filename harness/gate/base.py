"""The commit at which a branch left another: its tree, its policy, and its baselines.

A branch could delete the baseline or loosen the policy, so the gate takes the policy from there, and the
existence and the cases of the baseline. An update of the baseline is for review, and is reported.
"""

import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.error import UsageError
from harness.gate.baseline import NAME, Baseline, parse_baseline
from harness.gate.numerics import accept_differences, compare
from harness.gate.policy import FILE, TABLE, Policy, parse_policy
from harness.gate.snapshot import Summary
from harness.isolation.environment import hide_as_base
from harness.record import Gate, GateFinding, Outcome
from harness.record.storage import find_harness_table

BASE_FOLDER, CANDIDATE_FOLDER = "base", "here"
"""Names of the trees' folders: equally long, as the length of a path changes where things lie in memory."""


class Trees(NamedTuple):
    """Two trees in one folder, which also has the images that both load, and compiled Python files."""

    folder: Path

    @property
    def base(self) -> Path:
        """The tree of the base."""
        return self.folder / BASE_FOLDER

    @property
    def candidate(self) -> Path:
        """The working tree."""
        return self.folder / CANDIDATE_FOLDER


@contextmanager
def trees(reference: str) -> Iterator[Trees]:
    """Check another commit out next to the working tree, and remove it at the end.

    Raises
    ------
    UsageError
        If this is no git repository, or it has no such commit.
    """
    top, commit = Path(git("rev-parse", "--show-toplevel")), find_base(reference)
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as name:
        checkout = Trees(Path(name).resolve())
        git("worktree", "add", "--detach", "--quiet", str(checkout.base), commit)
        checkout.candidate.symlink_to(top, target_is_directory=True)
        try:
            yield checkout
        finally:
            git("worktree", "remove", "--force", str(checkout.base))


def git(*arguments: str) -> str:
    """Run Git, and return its output.

    Raises
    ------
    UsageError
        If it fails, with its own words.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise UsageError("`git` not found", rule="the gate compares commits", remedy="install git") from error
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.strip().splitlines()
        raise UsageError(
            f"`git {' '.join(arguments)}` failed: {complaint[-1] if complaint else 'no such commit'}",
            remedy="name a commit, branch or tag as the base; a shallow clone in CI needs `fetch-depth: 0`",
        ) from error
    return done.stdout.strip()


def find_base(reference: str) -> str:
    """Return the commit at which the branch left another one.

    Raises
    ------
    UsageError
        If there is none.
    """
    git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    return git("merge-base", reference, "HEAD")


class Base(NamedTuple):
    """The base of a branch, as the user names it, and its policy and baselines."""

    reference: str
    policy: Policy
    baselines: dict[Path, str]
    """The text of each baseline, by its absolute path in the working tree."""
    settings: object = None
    """The table ``[tool.harness]``, unchecked."""

    def judge_policy(self, policy: Policy) -> tuple[Policy, list[GateFinding]]:
        """Return the policy of the base with the branch's names of cases, and a finding if the branch loosens it."""
        names = {"renamed": policy.renamed, "retired": policy.retired}
        loosened = policy.loosened_from(self.policy)
        sentence = f"The branch loosens {TABLE}, and the gate uses the one of {self.reference}: {'; '.join(loosened)}."
        return self.policy.model_copy(update=names), [_report_regression("", sentence)] if loosened else []

    def judge_baselines(self, file: Path, now: Summary, policy: Policy) -> list[GateFinding]:
        """Return findings on baselines that the branch deletes, and on its changes to the baseline in use."""
        deleted = [path for path in self.baselines if not path.is_file()]
        remedy = f"restore it with `git checkout {self.reference} -- FILE`"
        findings = [
            _report_regression("", f"The branch deletes the baseline `{path.name}` in `{path.parent}`; {remedy}.")
            for path in deleted
        ]
        before = self.baseline(file)
        if before is None or file in deleted:
            return findings
        current = parse_baseline(file.read_text(encoding="utf-8"), file)
        if current == before:
            return findings
        for name, device in sorted(before.cases.keys() - current.cases.keys()):
            if (policy.renamed.get(name, name), device) in now.cases:
                findings.append(_report_regression(name, f"The branch removes {name} from the baseline only."))
        known_sentences = {finding.sentence for finding in compare(current, now, policy)}
        changed = [finding for finding in compare(before, now, policy) if finding.sentence not in known_sentences]
        return [*findings, *(finding for finding in accept_differences(changed) if finding.outcome is Outcome.NEW)]

    def baseline(self, file: Path) -> Baseline | None:
        """Return the baseline that the base has at a place; ``None`` if it has none there."""
        text = self.baselines.get(file.resolve())
        return None if text is None else parse_baseline(text, file)


def _report_regression(case: str, sentence: str) -> GateFinding:
    return GateFinding(gate=Gate.NUMERICS, case=case, outcome=Outcome.REGRESSED, sentence=sentence)


def read_base(reference: str, root: Path, extra: Path | None = None) -> Base:
    """Read the policy and the baselines of a project at the base; ``extra`` is a baseline of another name.

    From then on, user code does not see the environment variables that the base hides.

    Raises
    ------
    UsageError
        If there is no such commit, or a file there is damaged.
    """
    top, commit = Path(git("rev-parse", "--show-toplevel")).resolve(), find_base(reference)
    prefix = root.resolve().relative_to(top)
    paths = [
        Path(name) for name in git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0") if name
    ]
    named = None if extra is None else extra.resolve()

    def text(path: Path) -> str:
        return git("cat-file", "blob", f"{commit}:{path.as_posix()}")

    file = prefix / FILE
    policy = parse_policy(text(file), f"`{FILE}` of {reference}") if file in paths else Policy()
    document = tomllib.loads(text(file)) if file in paths else {}
    hide_as_base(document)
    if policy.baseline is not None:
        named = (root / policy.baseline).resolve()
    inside = [path for path in paths if path.is_relative_to(prefix)]
    baseline_paths = [path for path in inside if path.name == NAME or top / path == named]
    baselines = {top / path: f"{text(path)}\n" for path in baseline_paths}
    return Base(reference, policy, baselines, find_harness_table(document))
