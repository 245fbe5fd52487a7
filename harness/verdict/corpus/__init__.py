"""The corpus: known counterexamples, which are replayed before new examples are drawn.

This folder has one file of JSON Lines for each contract. An example is tried on every implementation of the contract,
because similar implementations have the same defects, and a repaired defect must not return. The last line of a file is
a digest of the others, so that a damaged file is refused.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from harness.contracts import contract_named
from harness.error import UsageError, listed
from harness.floats.format import Format
from harness.laws.contract import Contract
from harness.laws.law import Example, Law
from harness.record import Breaking, Counterexample, Input, Proof, TensorText, Verdict, Worst, write_atomically
from harness.record.storage import is_there, parsed, read_text
from harness.verdict.replay import from_text

WHAT = "a corpus of counterexamples"
REMEDY = "fix or delete the line, or freeze the run again"
RESTORE = "restore the file, or delete it and freeze the run again"


def read_corpus(file: Path) -> tuple[Counterexample, ...]:
    """Read a file of counterexamples; none where it does not exist.

    Raises
    ------
    UsageError
        If a line is no counterexample, or the digest does not match.
    """
    if not is_there(file):
        return ()
    text = read_text(file, what=WHAT, remedy=REMEDY)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    *rest, last = lines or [(1, "")]
    if last[1].strip() != _digest_line(line for _, line in rest):
        raise UsageError(f"the digest of the corpus does not match: `{file}`", remedy=RESTORE)
    return tuple(
        parsed(Counterexample, line, place=f"{file}:{number}", what=WHAT, remedy=REMEDY) for number, line in rest
    )


def corpus_text(lines: Iterable[str]) -> str:
    """Return the content of a file of counterexamples: their lines in order, and the digest."""
    known = sorted(lines)
    return "".join(f"{line}\n" for line in [*known, _digest_line(known)])


def _digest_line(lines: Iterable[str]) -> str:
    content = "\n".join(line.strip() for line in lines)
    return json.dumps({"digest": hashlib.blake2b(content.encode(errors="replace"), digest_size=16).hexdigest()})


def reject_damaged(folder: Path) -> None:
    """Read every corpus of a folder, before anything is checked with it.

    Raises
    ------
    UsageError
        If the folder is none, or a line in it is no counterexample.
    """
    if not folder.is_dir():
        remedy = "pass the folder that `harness freeze` wrote as `--corpus`"
        raise UsageError(f"folder not found: `{folder}`", remedy=remedy)
    for file in sorted(folder.glob("*.jsonl")):
        read_corpus(file)


FOLDER = Path(__file__).parent

LARGEST = 64
"""Counterexamples with more elements are found again by drawing."""


def examples(contract: Contract, law: Law, format_: Format, folders: Iterable[Path] = (FOLDER,)) -> list[Example]:
    """Return the known counterexamples to a law in a format; none for a law with separate inputs.

    Such a law has few and peculiar examples, and a minimal counterexample no longer belongs to them. It would break
    implementations that the law does not concern.
    """
    if law.inputs is not None:
        return []
    return [
        _read(known, contract, law, folder / f"{contract.name}.jsonl")
        for folder in folders
        for known in known_counterexamples(contract.name, folder)
        if (known.law, known.dtype) == (law.name, format_.name)
    ]


def _read(known: Counterexample, contract: Contract, law: Law, file: Path) -> Example:
    """Return the example; raise an error if it lacks an input that the law reads."""
    if missing := [name for name in law.reads if name not in known.example]:
        raise UsageError(
            f"cannot read a counterexample in `{file}`: {listed(missing)} missing",
            rule=f"`{law.name}` needs {listed(law.reads)}",
            remedy=REMEDY,
        )
    return from_text(known.example, contract)


@cache
def known_counterexamples(contract: str, folder: Path = FOLDER) -> tuple[Counterexample, ...]:
    """Read the corpus of a contract; empty if it does not exist.

    Raises
    ------
    UsageError
        If a line is not a counterexample.
    """
    return read_corpus(folder / f"{contract}.jsonl")


Recorded = Verdict | Breaking | Worst | Proof


def freeze(findings: Iterable[Recorded], folder: Path = FOLDER) -> int:
    """Add the counterexamples of a run to the corpus; return how many were new.

    Parameters
    ----------
    findings
        Verdicts, breaking points and worst cases; those on which no law is broken, or with large inputs, are passed
        over.
    folder
        Folder of the corpus.
    """
    added = 0
    fresh: dict[str, list[Counterexample]] = {}
    for finding in findings:
        if broken := list(_counterexamples(finding)):
            fresh.setdefault(finding.contract, []).extend(broken)
    for contract, new in fresh.items():
        known = {_key(counterexample): counterexample for counterexample in known_counterexamples(contract, folder)}
        merged = {**{_key(counterexample): counterexample for counterexample in new}, **known}
        added += len(merged) - len(known)
        lines = (counterexample.model_dump_json() for counterexample in merged.values())
        write_atomically(folder / f"{contract}.jsonl", corpus_text(lines))
    known_counterexamples.cache_clear()
    return added


def _counterexamples(finding: Recorded) -> Iterator[Counterexample]:
    for law, example in _broken_on(finding):
        tensors = [value for value in example.values() if isinstance(value, TensorText)]
        if all(0 < len(tensor.values) <= LARGEST or 0 in tensor.shape for tensor in tensors):
            yield Counterexample(law=law, dtype=finding.dtype, example=example, found_in=finding.case)


def _broken_on(finding: Recorded) -> Iterator[tuple[str, dict[str, Input]]]:
    """Yield each broken law with the inputs that break it."""
    match finding:
        case Verdict(violation=violation) if violation is not None:
            yield finding.law, violation.example
        # A property of the format that a ray follows is no law, and every implementation breaks it.
        case Breaking(example=example) if example is not None and _is_law(finding):
            yield finding.law, example
        case Worst() if finding.broken:
            yield finding.law, finding.example
        case Proof():
            yield from (
                (outcome.law, outcome.violation.example) for outcome in finding.laws if outcome.violation is not None
            )


def _is_law(finding: Breaking) -> bool:
    return any(law.name == finding.law for law in contract_named(finding.contract).laws)


def _key(counterexample: Counterexample) -> str:
    return json.dumps(
        [counterexample.law, counterexample.dtype, counterexample.model_dump(mode="json")["example"]], sort_keys=True
    )
