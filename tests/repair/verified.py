"""Record the verified fix of each faulty function: ``python -m repair.verified`` in ``tests/`` writes the file.

Each fix is searched as by the command, in float32 with ten examples and 0.3 s for each law, without a time limit.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from repair.faulty import FAULTY, Faulty

from harness.execution.worker_pool import WorkerPool
from harness.findings import findings
from harness.isolation.limits import Limits
from harness.repair.candidates import list_candidates
from harness.repair.law_judge import IsolatedJudge, find_fix
from harness.verdict.campaign import Campaign
from harness.wording.fix import make_diff

RECORDED = Path(__file__).parents[1] / "recorded" / "fixes.txt"


def block(one: Faulty, diff: list[str], sentence: str) -> str:
    """Return the lines about a function in the file."""
    return "\n".join([f"# {one.contract} {one.name}", *diff, sentence])


def verified(one: Faulty) -> str:
    """Return the block of a function, with the fix that the laws verify."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{one.name}.py"
        file.write_text(one.text, encoding="utf-8")
        campaign = Campaign(
            f"{file}:{one.name}", one.contract, dtypes=("float32",), examples=10, seconds=0.3, minimal=False
        )
        with WorkerPool(campaign, Limits(), 1) as pool:
            verdicts = list(campaign.verdicts(pool))
        names = [name for finding in findings(verdicts) if finding.named is not None for name in finding.named.names]
        tried = list_candidates(one.text, one.name, names, unsafe=one.unsafe)
        with IsolatedJudge(campaign) as judge:
            found = find_fix(tried, verdicts, judge, seconds=600.0)
    if found is None:
        return block(one, [], "none")
    return block(one, make_diff(Path(file.name), one.text, found.candidate.text), found.sentence)


def recorded() -> Iterator[tuple[str, list[str], str]]:
    """Yield the name, the diff and the verification of each recorded fix."""
    for part in RECORDED.read_text(encoding="utf-8").strip().split("\n\n"):
        head, *diff, sentence = part.splitlines()
        yield head.split()[-1], diff, sentence


def main() -> None:
    """Write the file."""
    RECORDED.write_text("\n\n".join(map(verified, FAULTY)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
