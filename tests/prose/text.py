"""Find the prose of the project: the sentences of documents, messages, docstrings and comments, with their places."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCUMENTS, MESSAGES, DOCSTRINGS, COMMENTS = "documents", "messages", "docstrings", "comments"

FOLDERS = ("harness", "reports", "cases")
"""Folders whose Python files are read."""

_CODE = re.compile(r"^```.*?^```$|^ {4}\S.*$|<!--.*?-->|``[^`]*``|`[^`]*`|:[a-z:]+:`[^`]*`|\]\([^)]*\)", re.M | re.S)
_SKIPPED = (">>>", "...", "#", ".. ", "---", "===", "$", "!")
_WORD = re.compile(r"[A-Za-z']+")

FEWEST_WORDS = 4
"""A shorter text is a label and no sentence."""

MAX_SYMBOLS = 2
"""A text with more brackets, operators or slashes is code or data."""


class Sentence(NamedTuple):
    """A sentence and its place."""

    text: str
    file: str
    line: int
    kind: str
    is_cell: bool = False
    """Whether it is the cell of a table, which may begin with any word."""

    @property
    def words(self) -> int:
        """The number of words."""
        return len(_WORD.findall(self.text))


def sentences(text: str, file: str, line: int, kind: str) -> Iterator[Sentence]:
    """Yield the sentences of a text, without code, headings and labels.

    The text is Markdown or a docstring.
    """
    # Code becomes one word on each of its lines, so that line numbers stay correct.
    text = _CODE.sub(lambda code: "\n".join(" X" if part.strip() else "" for part in code[0].split("\n")), text)
    for paragraph, first, is_cell in _paragraphs(text):
        for match in re.finditer(r"\S.*?(?:[.!?](?=\s)|\Z)", paragraph, re.S):
            found = match[0]
            if len(re.findall(r"[A-Za-z]{2,}", found)) >= FEWEST_WORDS and (
                sum(symbol in "=_<>{}[]|\\/^" for symbol in found) <= MAX_SYMBOLS
            ):
                at = line + first + paragraph[: match.start()].count("\n")
                yield Sentence(found, file, at, kind, is_cell)


def _paragraphs(text: str) -> Iterator[tuple[str, int, bool]]:
    """Yield each paragraph, list item and table cell, the number of its first line, and whether it is a cell."""
    lines: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""]):
        stripped = line.strip()
        ends = not stripped or stripped.startswith((*_SKIPPED, "|"))
        if lines and (ends or re.match(r"([-*]|\d+\.) ", stripped)):
            yield "\n".join(lines), number - len(lines), False
            lines = []
        if stripped.startswith("|"):
            yield from ((cell.strip(), number, True) for cell in stripped.split("|") if cell.strip())
        elif not ends:
            lines.append(re.sub(r"^([-*]|\d+\.) ", "", stripped))


def of_document(path: Path, name: str) -> Iterator[Sentence]:
    """Yield the sentences of a Markdown file."""
    yield from sentences(path.read_text(encoding="utf-8"), name, 1, DOCUMENTS)


_PACKAGES = ("adoption", "auditor", "bench", "course", "proof", "proof/float32", "surveyor", "tuner")
_COMMANDS = ("harness/cli/", *(f"harness/{package}/command.py" for package in _PACKAGES))
"""Modules with commands."""


def of_source(path: Path, name: str) -> Iterator[Sentence]:
    """Yield the sentences of a Python file."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    documented = {id(text) for text, _ in _docstrings(tree)}
    for text, is_shown in _docstrings(tree):
        # The help of a command is its docstring.
        kind = MESSAGES if is_shown and name.startswith(_COMMANDS) else DOCSTRINGS
        yield from sentences(str(text.value), name, text.lineno, kind)
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            shown = (str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            yield from sentences("".join(shown), name, node.lineno, MESSAGES)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented | pieces:
            yield from sentences(node.value, name, node.lineno, MESSAGES)
    for comment, line in _comments(source):
        yield from sentences(comment, name, line, COMMENTS)


def of_exercise(path: Path, name: str) -> Iterator[Sentence]:
    """Yield the sentences that a student reads before and after the work."""
    texts = tomllib.loads(path.read_text(encoding="utf-8"))
    for text in (texts["title"], texts["question"], texts["learned"], *texts["hints"]):
        yield from sentences(text, name, 1, MESSAGES)


def _docstrings(tree: ast.AST) -> Iterator[tuple[ast.Constant, bool]]:
    """Yield each docstring, also of attributes, and whether it belongs to a command."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                yield statement.value, isinstance(node, ast.FunctionDef) and _is_command(node)


def _is_command(function: ast.FunctionDef) -> bool:
    """Whether a function has parameters that typer declares."""
    annotations = (ast.unparse(argument.annotation) for argument in function.args.args if argument.annotation)
    return any(re.search(r"\btyper\.|Option$|Argument$", annotation) for annotation in annotations)


def _comments(source: str) -> Iterator[tuple[str, int]]:
    """Yield each block of comment lines with its first line."""
    block: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield "\n".join(block), last - len(block) + 1
            block = []
        block.append(token.string.lstrip("#: "))
        last = line
    if block:
        yield "\n".join(block), last - len(block) + 1


def of_project(root: Path) -> Iterator[Sentence]:
    """Yield all sentences of a checkout."""
    for path in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        yield from of_document(path, path.relative_to(root).as_posix())
    for path in sorted((root / "harness/course/exercises").glob("*.toml")):
        yield from of_exercise(path, path.relative_to(root).as_posix())
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            yield from of_source(path, path.relative_to(root).as_posix())
