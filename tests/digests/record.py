"""Digests of the inputs of every law, equal on every processor: ``tests/recorded/digests.txt``."""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from harness.calling.modes import seed_all
from harness.contracts import contract_named, contracts
from harness.floats import format_of
from harness.formula.catalogue import CATALOGUE
from harness.laws.contract import Contract
from harness.record import SEED
from harness.verdict.draw import compute_digest, draw

FILE = Path(__file__).parent.parent / "recorded" / "digests.txt"

Key = tuple[str, str]
"""Contract and dtype."""


def digests(examples: int) -> dict[Key, str]:
    """Return a digest of the first examples for each contract and dtype, drawn with the seed of a run."""
    found: dict[Key, str] = {}
    for contract in _contracts():
        for dtype in contract.dtypes:
            of_inputs = {law.inputs or contract.inputs: b"" for law in contract.laws}
            for inputs in of_inputs:
                with torch.random.fork_rng(devices=[]):
                    seed_all(SEED)
                    drawn = draw(examples, inputs, format_of(dtype), examples, SEED)
                of_inputs[inputs] = b"".join(map(compute_digest, drawn))
            whole = hashlib.blake2b(b"".join(of_inputs.values()), digest_size=6)
            found[contract.name, dtype] = whole.hexdigest()
    return found


def _contracts() -> Iterator[Contract]:
    """Yield the contracts whose laws draw their inputs."""
    for name in (*contracts(), *CATALOGUE):
        contract = contract_named(name)
        if contract.form != "delivery":
            yield contract


def write(now: Mapping[Key, str], file: Path) -> None:
    """Write a line for each contract and dtype."""
    head = f"# Inputs drawn by Hypothesis {version('hypothesis')}. `python -m digests` in tests/ records them.\n"
    file.write_text(head + "".join(f"{contract} {dtype} {digest}\n" for (contract, dtype), digest in now.items()))


def differing(now: Mapping[Key, str], file: Path) -> list[str]:
    """Return contract and dtype for each digest that differs or is missing on one side."""
    rows = [line.split() for line in file.read_text().splitlines() if not line.startswith("#")]
    recorded = {(contract, dtype): digest for contract, dtype, digest in rows}
    keys = dict.fromkeys((*now, *recorded))
    return [" ".join(key) for key in keys if now.get(key) != recorded.get(key)]
