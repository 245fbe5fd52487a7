"""Tables of cases, contracts and laws, and explanations of contracts, laws and words in the glossary."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.display.table import is_folded_between_words
from harness.error import UsageError, did_you_mean
from harness.formula.catalogue import CATALOGUE, GROUPS
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


_FACT = re.compile(r"  (?:\S.*?)? {2,}(?=\S)")
"""The indented label of a line, up to its fact."""


def _find_fact(line: str) -> int:
    """Return the number of characters before the fact of a line; without a label, the indentation."""
    label = _FACT.match(line)
    return label.end() if label else 2


class Explanation(str):
    """A text of several lines that notebooks and prompts print as text."""

    __slots__ = ()
    __repr__ = str.__str__

    def wrap(self, width: int) -> str:
        """Return the text wrapped to a width, with hanging indentation."""
        lines = [filled(line, width, subsequent_indent=" " * _find_fact(line)) or [""] for line in self.splitlines()]
        return "\n".join(part for parts in lines for part in parts)


def summarize(cases: Iterable[Case]) -> Explanation:
    """Return an overview of one screen: how many cases, contracts, formulas and laws there are, and their names."""
    families = Counter(case.name.partition(".")[0] for case in cases)
    listed = ", ".join(f"{family} ({n})" for family, n in families.items())
    laws = sum(len(contract.laws) for contract in contracts().values())
    groups = ", ".join(f"{group} ({len(entries)})" for group, entries in GROUPS.items())
    facts = [
        ("contracts", f"{len(contracts())}: {', '.join(contracts())}"),
        ("formulas", f"{len(CATALOGUE)}, which are contracts, too: {groups}"),
        *([("cases", f"{families.total()}: {listed}")] if families else []),
        ("laws", f"{laws} of the contracts"),
        ("more", "`harness list softmax`: laws and cases of a contract or formula"),
        ("", "`harness list --cases`, `--contracts`, `--formulas`, `--laws`"),
        ("", "`harness explain NAME`: a law, a contract or a word of the output"),
    ]
    return Explanation(_align_lines(facts))


def explain_contract(contract: Contract, cases: Iterable[Case] = ()) -> Explanation:
    """Explain a contract: what its function computes, for which inputs, its laws, and its cases among some."""
    laws = [*contract.laws, *laws_on_request(contract)]
    own = [case.name for case in cases if case.contract == contract.name]
    facts = [
        ("meaning", contract.summary),
        ("holds for", contract.domain),
        *((law.name, law.statement) for law in laws),
        *([("cases", ", ".join(own))] if own else []),
    ]
    width = max(len(label) for label, _ in facts)
    lines = [f"  {label:<{width}}  {fact}" for label, fact in facts]
    return Explanation("\n".join([f"{contract.name}  {contract.signature}", *lines]))


def explain(law: str, contract: str | None = None) -> Explanation:
    """Explain a law (statement, source, bound, likely cause and remedy), a contract, or a word of the glossary.

    Parameters
    ----------
    law
        Name of the law or of a contract, or a word of the glossary.
    contract
        Name of a contract or formula that has the law [default: all contracts].

    Returns
    -------
    Explanation
        A string; notebooks and prompts print it as text.

    Raises
    ------
    UsageError
        If there is no such law, contract or word.
    """
    owners = contracts().values() if contract is None else [contract_named(contract)]
    pairs = [(owner, law) for owner in owners for law in (*owner.laws, *laws_on_request(owner))]
    named = [(owner, candidate) for owner, candidate in pairs if candidate.name == law]
    if named:
        return Explanation("\n\n".join(_explain_law(owner, named_law) for owner, named_law in named))
    word = find_entry(law)
    if word is None and contract is None and is_contract(law):
        return explain_contract(contract_named(law))
    if word is None:
        words = [*sorted({candidate.name for _, candidate in pairs}), *contracts(), *read_entries()]
        problem = f"unknown law or word `{law}`" if contract is None else f"unknown law `{law}` of `{contract}`"
        otherwise = "run `harness list --laws` to see all laws, or pass `--formula` for the laws of a formula"
        raise UsageError(problem, remedy=did_you_mean(law, words, otherwise))
    return Explanation(f"{word.word}\n{_align_lines([('meaning', word.meaning), ('example', word.example)])}")


def is_contract(name: str) -> bool:
    """Return whether a contract or a formula of the catalog has a name."""
    return name in contracts() or name in CATALOGUE


def suggest_contract(name: str) -> str | None:
    """Suggest contracts and formulas with a similar name."""
    return did_you_mean(name, [*contracts(), *CATALOGUE])


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


# The glossary


_HERE = Path(__file__).parent
_PAGES = (_HERE / "glossary.md", _HERE.parents[1] / "docs" / "glossary.md")
"""The copy in a wheel, and the page in a checkout."""

_EXAMPLE = "Example: "

_TABLE = "\n# Words of the output\n"
"""Heading of the table at the end of the page."""


class Entry(NamedTuple):
    """One word of the glossary."""

    word: str
    """In the singular."""
    meaning: str
    """One sentence."""
    example: str


@cache
def read_entries() -> Mapping[str, Entry]:
    """Return all entries by their word; none if the page is not installed."""
    page = next((path for path in _PAGES if path.is_file()), None)
    text, _, table = page.read_text(encoding="utf-8").partition(_TABLE) if page else ("", "", "")
    rows = (line.strip("| ").split(" | ") for line in table.splitlines()[5:])
    entries = [*map(_parse_section, text.split("\n## ")[1:]), *(Entry(*row) for row in rows)]
    return {entry.word: entry for entry in entries}


def _parse_section(section: str) -> Entry:
    word, meaning, example = (" ".join(paragraph.split()) for paragraph in section.strip().split("\n\n"))
    return Entry(word, meaning, example.removeprefix(_EXAMPLE))


def find_entry(word: str) -> Entry | None:
    """Return the entry of a word, or ``None`` if the glossary does not have it.

    Case, hyphens and underscores do not matter, and a plural ``s`` is accepted.
    """
    key = _normalize(word)
    return next(
        (item for name, item in read_entries().items() if _normalize(name) in {key, key.removesuffix("s")}), None
    )


def _normalize(word: str) -> str:
    return word.lower().replace("_", " ").replace("-", " ").strip()
