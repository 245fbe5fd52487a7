"""The reference covers all that is public: names with their docstrings, contracts, laws, formulas and options."""

import enum
import inspect
import re
from importlib import import_module
from typing import Any

import pytest
import typer
from website import api, commands, contracts

from harness.cli import app
from harness.contracts import contracts as registry
from harness.formula.catalogue import CATALOGUE

NAMES = [(module, name) for module, names in api.public().items() for name in names]
SECTION = r"^{}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)"


def documented(text: str, section: str) -> str:
    """Return a section of a docstring; empty without it."""
    found = re.search(SECTION.format(section), text, re.M | re.S)
    return found[1] if found else ""


def missing(member: Any, text: str) -> list[str]:
    """Return the parameters without a description, and whether the result has none."""
    signature = inspect.signature(member)
    headings = re.findall(r"^(\S[^\n]*)$", documented(text, "Parameters"), re.M)
    named = {name.strip().lstrip("*") for heading in headings for name in heading.split(":")[0].split(",")}
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    wanted = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in variable and parameter.name != "self"
    ]
    lacks = [name for name in wanted if name not in named]
    # A context manager returns nothing that its user sees.
    is_body = hasattr(member, "__wrapped__")
    returns = inspect.isroutine(member) and signature.return_annotation not in {None, "None", inspect.Signature.empty}
    return [*lacks, *(["returns"] if returns and not is_body and not documented(text, "Returns") else [])]


def has_no_parameters(member: type) -> bool:
    """Whether a class is an enumeration, a record that documents its fields one by one, or an exception with a text."""
    inits = {ArithmeticError.__init__, AssertionError.__init__, Exception.__init__}
    return issubclass(member, enum.Enum) or "model_fields" in dir(member) or member.__init__ in inits


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_every_public_name_is_documented(module: str, name: str) -> None:
    """A docstring describes it, each parameter and the result; a class also describes its public members."""
    member = getattr(import_module(module), name)
    if not (inspect.isclass(member) or inspect.isroutine(member)):
        assert api.constants(module).get(name)
        return
    text = inspect.getdoc(member) or ""
    assert text
    if not (inspect.isclass(member) and has_no_parameters(member)):
        assert not missing(member, text)
    if inspect.isclass(member):
        own = {key: getattr(value, "fget", value) for key, value in vars(member).items() if not key.startswith("_")}
        functions = {key: value for key, value in own.items() if inspect.isfunction(value)}
        assert [key for key, value in functions.items() if not value.__doc__ and value.__name__ != "<lambda>"] == []


def test_a_name_without_description_is_found() -> None:
    """The test above can fail."""

    def undocumented(x: int) -> int:
        """Return a number."""
        return x

    assert missing(undocumented, inspect.getdoc(undocumented) or "") == ["x", "returns"]


def test_every_contract_law_and_formula_is_in_the_reference() -> None:
    """A law has a heading on the page of its contract."""
    pages = contracts.pages()
    for contract in registry().values():
        page = pages[f"reference/contracts/{contract.name}.md"]
        assert re.findall(r"^## (.+)$", page, re.M) == [law.name for law in contract.laws]
        assert f"(contracts/{contract.name}.md)" in pages["reference/contracts.md"]
    assert set(re.findall(r"^### (.+)$", pages["reference/formulas.md"], re.M)) == set(CATALOGUE)


def test_every_command_and_option_is_in_the_reference() -> None:
    """The names of an option are on the page of its command."""
    group: Any = typer.main.get_command(app)
    pages = commands.pages()
    for name, command in group.commands.items():
        page = pages[f"reference/commands/{name}.md"]
        options = [option for param in command.params for option in param.opts if option.startswith("-")]
        assert [option for option in options if option not in page] == []
