"""Functions are named by verbs or nouns, and variables by nouns."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("harness", "reports", "cases")

PARTICIPLE = re.compile(
    r"(ed|[a-z]wn|made|told|held|kept|built|spelt|found|said|written|given|taken|broken|left|sent|met|meant)$"
)
NO_PARTICIPLE = {"feed", "seed", "need", "speed", "embed", "exceed", "proceed", "down", "own"}
PREPOSITION = re.compile(
    r"(of|in|on|at|by|with|without|from|to|for|as|against|between|below|above|within|near|through|after|before|until)(_|$)"
)
PRONOUNS = {
    *("one", "it", "some", "many", "few", "other", "both", "every", "each", "what", "how"),
    *("found", "given", "left", "known", "at", "of"),
}


def is_participle(name: str) -> bool:
    """Whether the name is a participle alone, without the noun that it describes."""
    return "_" not in name and name not in NO_PARTICIPLE and PARTICIPLE.search(name) is not None


@cache
def functions(folder: str) -> "list[ast.FunctionDef | ast.AsyncFunctionDef]":
    """Return every function and method whose name is free to choose."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / folder).rglob("*.py"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds))
    return [node for node in nodes if not re.fullmatch(r"__\w+__", node.name)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_are_verbs_or_nouns(folder: str) -> None:
    """In NumPy, pytest, Hypothesis and pydantic, up to 1.1 % are a bare participle, and up to 4 % begin otherwise."""
    names = [node.name.strip("_") for node in functions(folder)]
    participles = [name for name in names if is_participle(name)]
    assert len(participles) < 0.02 * len(names), sorted(participles)
    prepositions = [name for name in names if PREPOSITION.match(name)]
    assert len(prepositions) < 0.04 * len(names), sorted(prepositions)


@pytest.mark.parametrize("folder", FOLDERS)
def test_variables_of_functions_are_nouns(folder: str) -> None:
    """Below 1 % are a pronoun or another word that stands for whatever came before."""
    names = Counter(
        name.id
        for node in functions(folder)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    )
    pronouns = {name: count for name, count in names.items() if name in PRONOUNS}
    assert sum(pronouns.values()) < 0.01 * names.total(), pronouns


def test_the_rules_see_such_names() -> None:
    """A rule that matched nothing would hold for everything."""
    assert all(map(is_participle, ("named", "drawn", "told")))
    assert not any(map(is_participle, ("seed", "draw", "named_cases")))
    assert all(map(PREPOSITION.match, ("of_rows", "within")))
    assert not any(map(PREPOSITION.match, ("format_row", "offset", "input")))
