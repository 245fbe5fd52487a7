"""The corpus: counterexamples that were found before, replayed before any are drawn.

One file of JSON Lines for each contract lies beside this module. An example is tried on whatever implementation claims
the contract: what broke one breaks others of its kind, and a mended one must not break again.
"""

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
from harness.record.corpus import REMEDY, corpus_text, read_corpus
from harness.verdict.replay import from_text

FOLDER = Path(__file__).parent

LARGEST = 64
"""Counterexamples with more elements are found again by drawing."""


def examples(contract: Contract, law: Law, format_: Format, folders: Iterable[Path] = (FOLDER,)) -> list[Example]:
    """Return the known counterexamples to a law in a format; none to a law about inputs of its own.

    Such a law is drawn from few and peculiar examples, and a counterexample that was made minimal is no longer one of
    them: it would break implementations that the law is not about.
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
    """Refuse an example that lacks what the law reads."""
    if missing := [name for name in law.reads if name not in known.example]:
        raise UsageError(
            f"cannot read a counterexample in `{file}`: {listed(missing)} missing",
            rule=f"`{law.name}` needs {listed(law.reads)}",
            remedy=REMEDY,
        )
    return from_text(known.example, contract)


@cache
def known_counterexamples(contract: str, folder: Path = FOLDER) -> tuple[Counterexample, ...]:
    """Read the corpus of a contract; empty where there is none.

    Raises
    ------
    UsageError
        If a line is no counterexample.
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
        Where the corpus lies.
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
    """Yield each law that was found broken, with the inputs that it was broken on."""
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
