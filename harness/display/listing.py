"""Tables of cases, contracts and laws, and explanations of laws and of words in the glossary."""

import textwrap
from collections.abc import Iterable, Iterator

from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.display import glossary
from harness.display.narrow import is_folded_between_words
from harness.error import UsageError, did_you_mean
from harness.formula.catalogue import GROUPS
from harness.laws.contract import Contract
from harness.laws.law import Law
from harness.laws.transformation import laws_on_request
from harness.wording.verdict import filled


def _make_table(title: str, *headings: str, whole: int = 2) -> Table:
    """Return a table; its first ``whole`` columns are not wrapped, so that names can be copied."""
    columns = [Column(heading, overflow="fold", no_wrap=position < whole) for position, heading in enumerate(headings)]
    return Table(*columns, title=title, title_justify="left")


def fit_table(table: Table, width: int) -> Table | Text:
    """Return a table if its words fit into the width, else its rows as paragraphs that start with the name."""
    if is_folded_between_words(table, width):
        return table
    whole = sum(column.no_wrap for column in table.columns)
    rows = zip(*(column.cells for column in table.columns), strict=True)
    paragraphs = [_format_paragraph([Text.from_markup(str(cell)).plain for cell in row], whole, width) for row in rows]
    return Text("\n".join([str(table.title), *paragraphs, ""]))


def _format_paragraph(cells: list[str], whole: int, width: int) -> str:
    text = f"{' '.join(cells[:whole])}  {'; '.join(cells[whole:])}"
    return "\n".join(textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False))


def case_table(cases: Iterable[Case]) -> Table:
    """Return a table of cases with their contracts and known failures."""
    table = _make_table("Cases", "case", "contract", "style", "dtypes", "known failures")
    for case in cases:
        breaks = ", ".join(case.breaks) or "–"
        table.add_row(*map(escape, (case.name, case.contract, case.style, ", ".join(case.dtypes), breaks)))
    return table


def contract_table() -> Table:
    """Return a table of contracts with their signatures and domains."""
    table = _make_table("Contracts", "contract", "signature", "meaning", "domain", whole=1)
    for contract in contracts().values():
        table.add_row(*map(escape, (contract.name, contract.signature, contract.summary, contract.domain)))
    return table


def formula_tables() -> Iterator[Table]:
    """Yield a table of formulas for each group of the catalog."""
    for group, entries in GROUPS.items():
        table = _make_table(f"Formulas: {group}", "contract", "definition", "evaluated as", "inputs", "source", whole=1)
        for entry in entries:
            inputs = ", ".join(f"{name} {words}".strip() for name, words in entry.inputs.items())
            form = entry.form or "as defined"
            table.add_row(*map(escape, (entry.name, entry.definition, form, inputs, entry.source)))
        yield table


def law_table() -> Table:
    """Return a table of laws with their statements, bounds and sources."""
    table = _make_table("Laws", "contract", "law", "statement", "bound", "source")
    for contract in contracts().values():
        for law in (*contract.laws, *laws_on_request(contract)):
            table.add_row(*map(escape, (contract.name, law.name, law.statement, law.bound, law.source)))
    return table


_LABEL = 14
"""Number of characters before a fact."""


class Explanation(str):
    """A text of several lines that notebooks and prompts print as text."""

    __slots__ = ()
    __repr__ = str.__str__

    def wrap(self, width: int) -> str:
        """Return the text wrapped to a width, with hanging indentation."""
        lines = [filled(line, width, subsequent_indent=" " * _LABEL) or [""] for line in self.splitlines()]
        return "\n".join(part for parts in lines for part in parts)


def explain(law: str, contract: str | None = None) -> Explanation:
    """Explain a law (statement, source, bound, likely cause and remedy) or a word of the glossary.

    Parameters
    ----------
    law
        Name of the law, or a word of the glossary.
    contract
        Name of a contract or formula that has the law [default: all contracts].

    Returns
    -------
    Explanation
        A string; notebooks and prompts print it as text.

    Raises
    ------
    UsageError
        If there is no such law and no such word.
    """
    owners = contracts().values() if contract is None else [contract_named(contract)]
    pairs = [(owner, law) for owner in owners for law in (*owner.laws, *laws_on_request(owner))]
    named = [(owner, candidate) for owner, candidate in pairs if candidate.name == law]
    if named:
        return Explanation("\n\n".join(_explain_law(owner, named_law) for owner, named_law in named))
    word = glossary.find_entry(law)
    if word is None:
        words = [*sorted({candidate.name for _, candidate in pairs}), *glossary.read_entries()]
        problem = f"unknown law or word `{law}`" if contract is None else f"unknown law `{law}` of `{contract}`"
        otherwise = "run `harness list --laws` to see all laws, or pass `--formula` for the laws of a formula"
        raise UsageError(problem, remedy=did_you_mean(law, words, otherwise))
    return Explanation(f"{word.word}\n{_align_lines([('meaning', word.meaning), ('example', word.example)])}")


def _explain_law(contract: Contract, law: Law) -> str:
    lines = [
        ("statement", law.statement),
        ("holds for", contract.domain),
        ("unit", law.unit),
        ("bound", law.bound),
        ("source", law.source),
        ("look at", law.cause),
    ]
    lines += [("severity", f"lost digits: {law.lost_digits}")] if law.lost_digits else []
    lines += [("non-finite", law.non_finite)] if law.non_finite else []
    return f"{law.name} of {contract.name}  {contract.signature}\n{_align_lines(lines)}"


def _align_lines(lines: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {label:<10}  {fact}" for label, fact in lines)
