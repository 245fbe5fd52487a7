"""The reference of contracts and their laws, and of the formulas, made from the registries of both."""

from collections.abc import Iterable, Mapping, Sequence

from harness.contracts import contracts
from harness.formula.catalogue import GROUPS
from harness.laws import Contract, Law
from harness.reports.mathml import mathml
from harness.reports.sections.law import DEFINITIONS


def pages() -> dict[str, str]:
    """Return a page for each contract, their overview, and the formulas."""
    known = contracts().values()
    found = {f"reference/contracts/{contract.name}.md": _page(contract) for contract in known}
    tree = ["```{toctree}", ":hidden:", "", *(f"contracts/{contract.name}" for contract in known), "```", ""]
    overview = ["# Contracts and laws", "", _introduction(known), "", *_overview(known), "", *tree]
    return {"reference/contracts.md": "\n".join(overview), "reference/formulas.md": _formulas(), **found}


def _introduction(known: Iterable[Contract]) -> str:
    laws = sum(len(contract.laws) for contract in known)
    return (
        f"A contract lists the laws of an operation. There are {len([*known])} contracts with {laws} laws. "
        "`harness list --contracts` and `harness explain LAW` print them."
    )


def _overview(known: Iterable[Contract]) -> list[str]:
    rows = [
        (f"[{contract.name}](contracts/{contract.name}.md)", _text(contract.summary), str(len(contract.laws)))
        for contract in known
    ]
    return _table(("contract", "meaning", "laws"), rows)


def _page(contract: Contract) -> str:
    facts = {"signature": f"`{contract.signature}`", "laws hold for": contract.domain}
    facts |= {"other names": ", ".join(f"`{name}`" for name in contract.aliases)}
    facts |= {f"convention `{name}`": _convention(choice) for name, choice in contract.conventions.items()}
    lines = [f"# {contract.name}", "", _sentence(contract.summary), "", *_drawn(DEFINITIONS.get(contract.name, ""))]
    lines += _facts(facts)
    for law in contract.laws:
        lines += [f"## {law.name}", "", _sentence(law.statement), "", *_facts(_of_law(law))]
    return "\n".join(lines)


def _drawn(definition: str) -> list[str]:
    """Return a formula as mathematics, if it has one."""
    markup = mathml(definition)
    return [f'<div class="drawing">{markup}</div>', ""] if markup else []


def _of_law(law: Law) -> Mapping[str, str]:
    return {
        "bound": f"{law.bound} (unit: {law.unit})" if law.unit and law.unit not in law.bound else law.bound,
        "source": law.source,
        "likely cause": law.cause,
        "if the output is not finite": law.non_finite,
        "severity": f"lost digits: {law.lost_digits}" if law.lost_digits else "defect",
    }


def _convention(choice: object) -> str:
    return ", ".join(f"`{value}`" for value in choice) if isinstance(choice, Sequence) else str(choice)


def _formulas() -> str:
    lines = ["# Formulas", "", "Functions with these names are checked against these formulas, such as "]
    lines[-1] += "`harness check mine.py:mish`."
    for group, entries in GROUPS.items():
        lines += ["", f"## {group[:1].upper()}{group[1:]}"]
        for entry in entries:
            inputs = ", ".join(f"`{name}` {_text(words)}".strip() for name, words in entry.inputs.items())
            facts = {"definition": f"`{entry.definition}`", "evaluated as": f"`{entry.form}`" if entry.form else ""}
            lines += [
                "",
                f"### {entry.name}",
                "",
                *_drawn(entry.definition),
                *_facts({**facts, "inputs": inputs, "source": entry.source}),
            ]
    return "\n".join(lines)


def _facts(facts: Mapping[str, str]) -> list[str]:
    """Return a definition list without empty facts."""
    return [
        line
        for label, text in facts.items()
        if text
        for line in (label, f": {text if text.startswith('`') or '](' in text else _text(text)}", "")
    ]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return [*lines, *(f"| {' | '.join(cells)} |" for cells in rows)]


def _sentence(text: str) -> str:
    shown = _text(text)
    return shown if shown.endswith((".", "?")) else f"{shown}."


def _text(text: str) -> str:
    """Return plain text without accidental Markdown."""
    for sign in "\\*_|<[":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
