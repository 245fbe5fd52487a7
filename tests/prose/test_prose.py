"""The prose check: it finds unusual phrases with place and replacement, and accepts plain text."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from prose.check import complaints, hits, new_lines, over_budget, over_ceiling, read, record, subjects
from prose.phrases import OPENINGS, PHRASES, SPELLING
from prose.text import COMMENTS, DOCSTRINGS, DOCUMENTS, MESSAGES, Sentence, of_document, of_project, of_source
from samples.repository import git

PLAIN = "The check compares the output with the exact result. "


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write the files of a small project."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def found(text: str) -> list[str]:
    """Return the unusual phrases in a sentence."""
    return [hit.found for hit in hits(Sentence(text, "page.md", 1, DOCUMENTS))]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("The second column stands beside the first one.", ["beside"]),
        ("The file is looked\nfor in the cache folder.", ["is looked\nfor"]),
        ("The worker has a folder of its own.", ["of its own"]),
        ("The two results are told apart by name.", ["told apart", "apart"]),
        ("What is asked late is drawn anew.", ["is asked", "anew", "What is", "What"]),
        ("Those that fail are red.", ["Those that", "Those"]),
        ("The colour of the line changes.", ["colour"]),
    ],
)
def test_an_unusual_phrase_is_found(text: str, phrases: list[str]) -> None:
    """A phrase may span two lines, and an unusual opening counts separately."""
    assert found(text) == phrases


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.strip(),
        "What is the largest error of this function?",
        "As a result, the loader delivers each sample once.",
        "Apart from rounding, both results are equal.",
        "The result comes from a smaller tensor.",
    ],
)
def test_plain_text_is_accepted(text: str) -> None:
    """A question may begin with `what`."""
    assert found(text) == []


def test_every_phrase_has_a_replacement() -> None:
    """A complaint always suggests a replacement."""
    assert all(phrase.replacement for phrase in (*PHRASES, *OPENINGS, *SPELLING))


def test_every_kind_of_prose_is_read_with_its_place(tmp_path: Path) -> None:
    """The kinds are documents, docstrings, messages and comments; the docstring of a command is a message."""
    source = (
        '"""The first file beside the second."""\n\n# This comment is one line\n# beside another line.\n'
        'TEXT = "one value beside another value"\n\n\n'
        'def check(name: NameArgument):\n    """Show one value beside another."""\n'
        '    return f"the value {name} beside another value"\n'
    )
    page = f"# Title beside\n\n{PLAIN}\nOne value beside\nanother.\n"
    write(tmp_path, {"docs/page.md": page, "harness/cli/a.py": source, "harness/b.py": source})
    places = {(s.file, s.line, s.kind) for s in of_project(tmp_path) for _ in hits(s)}
    assert places == {
        ("docs/page.md", 4, DOCUMENTS),
        *(("harness/cli/a.py", line, kind) for line, kind in ((1, DOCSTRINGS), (3, COMMENTS), (5, MESSAGES))),
        *(("harness/cli/a.py", line, MESSAGES) for line in (9, 10)),
        *(("harness/b.py", line, kind) for line, kind in ((1, DOCSTRINGS), (3, COMMENTS), (5, MESSAGES))),
        ("harness/b.py", 9, DOCSTRINGS),
        ("harness/b.py", 10, MESSAGES),
    }


def test_code_is_no_prose(tmp_path: Path) -> None:
    """Fenced blocks, inline code, links, headings and formulas are skipped; the cells of a table may begin freely."""
    text = (
        "# What a value is beside another\n\n```text\nwhat is told beside it anew\n```\n\nUse `beside it anew` and "
        "[this short page](what-is-told.md).\n\n    one line beside another one\n\n| a | b |\n|---|---|\n"
        "| Where the function returns zero | x |\n"
    )
    write(tmp_path, {"page.md": text, "a.py": 'KEY = "a_b = c/d beside [x] of_what"\n'})
    every = [*of_document(tmp_path / "page.md", "page.md"), *of_source(tmp_path / "a.py", "a.py")]
    assert [hit for sentence in every for hit in hits(sentence)] == []


def test_a_new_phrase_fails_with_place_and_replacement(tmp_path: Path) -> None:
    """A file with recorded phrases fails too."""
    ceilings = tmp_path / "ceilings.txt"
    write(tmp_path, {"harness/a.py": '"""One value beside another."""\n'})
    assert record(of_project(tmp_path), ceilings) == []
    assert read(ceilings) == {("harness/a.py", DOCSTRINGS): 1}
    assert complaints(tmp_path, ceilings) == []
    write(tmp_path, {"harness/a.py": '"""One value beside another."""\n\n# The file is read anew here.\n'})
    assert complaints(tmp_path, ceilings) == [
        "harness/a.py: 1 unusual phrases in comments, at most 0",
        "  harness/a.py:3: has 'anew'; write again, new: 'The file is read anew here.'",
    ]


def test_only_new_lines_are_shown_where_they_are_known() -> None:
    """Otherwise all phrases of the file are shown."""
    every = [Sentence("One value beside another value.", "a.py", line, DOCSTRINGS) for line in (3, 8)]
    ceilings = {("a.py", DOCSTRINGS): 1}
    assert [line.split(": ")[0] for line in over_ceiling(every, ceilings, {})] == ["a.py", "  a.py:3", "  a.py:8"]
    assert [line.split(": ")[0] for line in over_ceiling(every, ceilings, {"a.py": {8}})] == ["a.py", "  a.py:8"]


def test_ceilings_only_go_down(tmp_path: Path) -> None:
    """A phrase may move to another file of the same part, but the total does not grow."""
    ceilings = tmp_path / "ceilings.txt"
    write(tmp_path, {"harness/a.py": '"""One value beside another, read anew."""\n', "harness/b.py": ""})
    assert record(of_project(tmp_path), ceilings) == []
    write(tmp_path, {"harness/a.py": "", "harness/b.py": '"""One value beside another."""\n'})
    assert record(of_project(tmp_path), ceilings) == []
    assert read(ceilings) == {("harness/b.py", DOCSTRINGS): 1}
    write(tmp_path, {"harness/a.py": '"""The same file is read anew."""\n'})
    assert record(of_project(tmp_path), ceilings) == ["docstrings of harness: 2 unusual phrases, 1 are recorded"]
    assert read(ceilings) == {("harness/b.py", DOCSTRINGS): 1}


@pytest.mark.parametrize(("sentences", "fails"), [(20, True), (60, False)])
def test_documents_have_a_budget(tmp_path: Path, sentences: int, *, fails: bool) -> None:
    """One phrase in 180 words is too many, one in 540 words is not."""
    write(tmp_path, {"README.md": f"{PLAIN * sentences}One value stands beside another value.\n"})
    shown = list(over_budget(of_project(tmp_path)))
    assert bool(shown) == fails
    if fails:
        assert shown[0].startswith("README.md: 5.4 phrases per 1,000 words and 0.0 % openings")
        assert "write next to, besides, compared with" in shown[1]


def test_docstrings_have_a_ceiling_and_no_budget() -> None:
    """Users do not see them."""
    assert list(over_budget([Sentence("One value beside another value.", "harness/a.py", 1, DOCSTRINGS)])) == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an old commit, the commit that adds the check, and a later one."""
    root = tmp_path / "repository"
    root.mkdir()
    git("init", "-q", "-b", "main", folder=root)
    for name, subject in (
        ("old.md", "What was there before is kept beside it"),
        ("tests/prose/phrases.py", "Add the prose check"),
        ("README.md", "Show the sum beside the mean"),
    ):
        write(root, {name: f"{PLAIN}\n"})
        git("add", name, folder=root)
        git("commit", "-q", "-m", subject, folder=root)
    return root


def test_subjects_are_read_since_the_check_was_added(repository: Path) -> None:
    """Older subjects cannot be changed any more."""
    assert [subject.text for subject in subjects(repository)] == ["Show the sum beside the mean", "Add the prose check"]
    shown = list(over_budget(subjects(repository)))
    assert shown[0].startswith("commit subjects: 100.0 phrases per 1,000 words")
    assert "has 'beside'" in shown[1]


def test_a_shallow_clone_has_the_last_subject_only(repository: Path, tmp_path: Path) -> None:
    """The commit that added the check is not in it."""
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(shallow))
    assert [subject.text for subject in subjects(shallow)] == ["Show the sum beside the mean"]
    assert new_lines(shallow) == {}


def test_the_check_works_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It also works without Git."""
    assert subjects(tmp_path) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subjects(tmp_path) == []
    assert new_lines(tmp_path) == {}


def test_new_lines_come_from_the_last_commit_and_the_working_tree(repository: Path) -> None:
    """Line numbers are those in the working tree."""
    write(repository, {"old.md": f"{PLAIN}\n\nA new line.\n"})
    assert new_lines(repository) == {"README.md": {1}, "old.md": {2, 3}}
