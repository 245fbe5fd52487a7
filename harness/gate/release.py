"""Changes that only another release of torch made: a law with another verdict than in the baseline, on the same source.

A verdict is put down to the release if the baseline has another one, from other releases of torch only, and the last
commit of the baseline has the same source. The source is the module of the case with the modules that it imports and
the declarations next to it, all compiled code of the folder, and the table ``[tool.harness]`` of the project. Without
that commit, as in a shallow clone, nothing is put down to a release.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from harness.calling.discovery import package_of
from harness.error import UsageError
from harness.findings import Finding
from harness.gate.base import git
from harness.gate.baseline import NAME, Baseline, Seen, read_baseline
from harness.gate.policy import FILE, Policy, project_root, read_policy
from harness.record import Gate, GateFinding, Outcome, Status, Verdict
from harness.wording.finding import sentence

_COMPILED = ("*.pyx", "*.c", "*.cc", "*.cpp", "*.cu", "*.cuh", "*.h", "*.hpp")
"""Files of the folder that count for each case."""

_HELD = {
    **dict.fromkeys((Status.BROKEN, Status.ERROR, Status.UNCLAIMED), Status.HOLDS),
    Status.UNEXPECTED: Status.EXPECTED,
}
"""Verdicts that a release can cause, and the verdicts before it."""


def release_of(version_: str) -> str:
    """Return a version without its build: ``2.13.0`` for ``2.13.0+cpu``."""
    return version_.partition("+")[0]


class Releases:
    """The verdicts of a baseline under other releases of torch, and the source on which they were reached."""

    def __init__(self, baseline: Baseline, file: Path, folder: Path) -> None:
        self._cases, self._file, self._folder = baseline.cases, file.resolve(), folder.resolve()
        self._now = release_of(version("torch"))
        self._unchanged: dict[str, bool] = {}

    @classmethod
    def read_target(cls, target: str) -> "Releases | None":
        """Return the releases in the baseline of a checked target or of its project; ``None`` without a baseline."""
        root = project_root(Path.cwd())
        path = target.partition(":")[0]
        source = Path(path) if path.endswith(".py") else package_of(target)
        if source is None:
            return None
        folder, named = source if source.is_dir() else source.parent, read_policy(root).baseline
        files = [root / named] if named is not None else [folder / NAME, root / NAME]
        file = next((file for file in files if file.is_file()), None)
        return None if file is None else cls(read_baseline(file), file, folder)

    def add_releases(self, verdict: Verdict, name: str | None = None) -> Verdict:
        """Return a verdict with the releases that differ, if nothing else does; ``name`` is the case's old name."""
        releases = self.find_change(verdict, name or verdict.case)
        if releases is None or not self.have_source(name or verdict.case):
            return verdict
        return verdict.model_copy(update={"releases": releases})

    def find_change(self, verdict: Verdict, name: str) -> tuple[str, str] | None:
        """Return the latest other release with another verdict, and the present one; ``None`` if it is no reason."""
        entries = self._cases.get((name, verdict.device), ())
        releases = {release_of(origin.torch): entry for entry in entries for origin in entry.origins}
        if verdict.status not in _HELD or not releases or self._now in releases:
            return None
        latest = max(releases, key=lambda release: [int(number) for number in re.findall(r"\d+", release)])
        figures = releases[latest].snapshot.figures().get((verdict.law, verdict.dtype))
        return (latest, self._now) if figures is not None and figures.status is _HELD[verdict.status] else None

    def has_draws(self, name: str, hypothesis: str) -> bool:
        """Whether the same Hypothesis drew the inputs of a case on each kind of machine."""
        entries: Iterable[Seen] = (entry for key, kinds in self._cases.items() if key[0] == name for entry in kinds)
        return all(origin.hypothesis == hypothesis for entry in entries for origin in entry.origins)

    def have_source(self, name: str) -> bool:
        """Whether the code of a case is the same as in the last commit of the baseline."""
        if name not in self._unchanged:
            try:
                self._unchanged[name] = self._has_source(name)
            except (UsageError, SyntaxError):  # no repository, no such commit, a difference, or no code
                self._unchanged[name] = False
        return self._unchanged[name]

    def _has_source(self, name: str) -> bool:
        """Compare the code of a case with the last commit of the baseline; Git fails at a difference."""
        here = ("-C", str(self._folder))
        git(*here, "diff", "--quiet", "HEAD", "--", str(self._file))
        commit = git(*here, "log", "-1", "--format=%H", "--", str(self._file))
        if not commit or git(*here, "rev-parse", "--is-shallow-repository") != "false":
            return False
        git(*here, "diff", "--quiet", commit, "--", *_COMPILED, *self._find_files(name))
        project = project_root(self._folder)
        if not (project / FILE).is_file():
            return True
        before = git("-C", str(project), "show", f"{commit}:./{FILE}")
        return _read_options(before) == _read_options((project / FILE).read_text(encoding="utf-8"))

    def _find_files(self, name: str) -> Iterable[str]:
        """Return the Python files of a case: its module, the declarations next to it, and the imports of the module."""
        parts = name.split(".")
        modules = [
            folder.joinpath(*parts[:number]).with_suffix(".py")
            for number in range(len(parts) - 1, 0, -1)
            for folder in (self._folder, self._folder.parent)
        ]
        module = next((module for module in modules if module.is_file()), None)
        if module is None:
            return ["*.py"]
        files, queue = {module.with_name("__init__.py"), module}, [module]
        while queue:
            queue += (new := set(_find_imports(queue.pop(), self._folder)) - files)
            files |= new
        return map(str, files)


def _find_imports(file: Path, folder: Path) -> Iterator[Path]:
    """Yield the files next to a file, in a folder or next to it, that the file imports."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        bases, names = [file.parent, folder, folder.parent], [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            bases = [file.parents[node.level - 1]] if node.level else bases
            prefix = f"{node.module}." if node.module else ""
            names = [*([node.module] if node.module else []), *(prefix + name for name in names)]
        for base, name in product(bases, names):
            path = base.joinpath(*name.split("."))
            yield from filter(Path.is_file, (path.with_suffix(".py"), path / "__init__.py"))


def _read_options(text: str) -> dict[str, Any]:
    """Return the table with the options of the targets, without the policy of the gate."""
    table = tomllib.loads(text).get("tool", {}).get("harness", {})
    return {name: value for name, value in table.items() if name != "gate"}


def attribute_to_releases(
    findings: Sequence[GateFinding], verdicts: Sequence[Verdict], releases: Releases, policy: Policy, hypothesis: str
) -> Iterator[GateFinding]:
    """Yield the findings; a regression that only another release of torch caused says so, and is none."""
    old_names = {new: old for old, new in policy.renamed.items()}
    by_subject = {(verdict.case, f"{verdict.law} [{verdict.where}]", verdict.status): verdict for verdict in verdicts}
    for finding in findings:
        candidates = (by_subject.get((finding.case, finding.subject, status)) for status in _HELD)
        verdict = next((candidate for candidate in candidates if candidate is not None), None)
        if finding.outcome is not Outcome.REGRESSED or finding.gate is not Gate.NUMERICS or verdict is None:
            yield finding
            continue
        name = old_names.get(finding.case, finding.case)
        pair = releases.find_change(verdict, name)
        # The run may have noted its releases before the source changed.
        noted = releases.add_releases(verdict.model_copy(update={"releases": None}), name)
        if pair is None:
            yield finding
        elif noted.releases is None or not releases.has_draws(name, hypothesis):
            cause = "the source" if noted.releases is None else "Hypothesis"
            reason = f"torch changed from {pair[0]} to {pair[1]}, but {cause} may have changed, too"
            yield finding.model_copy(update={"sentence": f"{finding.sentence.removesuffix('.')}; {reason}."})
        else:
            text = f"{finding.case} {finding.subject}: {sentence(Finding((noted,)))}."
            yield finding.model_copy(update={"outcome": Outcome.RELEASE, "sentence": text})
