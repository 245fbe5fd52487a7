"""Objects that another process can import, and one sentence for each that it cannot."""

import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hostile import cunning, rude

import harness
from harness.error import UsageError
from harness.verdict.isolated import find_import_target


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper with the same name, like a decorator."""

    @wraps(function)
    def wrapper(*inputs: Any) -> Any:
        return function(*inputs)

    return wrapper


@decorated
def softmax(x: torch.Tensor) -> torch.Tensor:
    """A decorated function, which an import returns too."""
    return x.softmax(-1)


def test_what_a_module_defines_is_named_with_the_folder_it_is_imported_from() -> None:
    """The object is in a module of a package, a class, or a decorated function."""
    folder = str(Path(rude.__file__).parents[1])
    assert find_import_target(rude.raises) == ("hostile.rude:raises", folder)
    assert find_import_target(cunning.sign.right_at_first) == ("hostile.cunning.sign:right_at_first", folder)
    assert find_import_target(torch.nn.Softmax)[0] == "torch.nn.modules.activation:Softmax"
    assert find_import_target(softmax)[0].endswith(":softmax")


def test_a_file_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command uses the same name, in any working directory."""
    file = tmp_path / "homework.py"
    file.write_text("def softmax(x):\n    return x.softmax(-1)\n", encoding="utf-8")
    module = ModuleType("homework")
    module.__file__ = str(file)
    exec(compile(file.read_text(encoding="utf-8"), file, "exec"), vars(module))  # noqa: S102 - as an import does
    monkeypatch.setitem(sys.modules, "homework", module)
    assert find_import_target(module.softmax) == (f"{file}:softmax", None)
    replaced = module.softmax
    module.softmax = softmax  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="`softmax`, which is another object in `homework`"):
        find_import_target(replaced)
    file.unlink()
    with pytest.raises(UsageError, match="`softmax` of `homework`, which has no source file"):
        find_import_target(replaced)


def _of_a_cell() -> Any:
    cell: dict[str, Any] = {"__name__": "__main__"}
    exec("def softmax(x):\n    return x.softmax(-1)\n", cell)  # noqa: S102 - as a notebook does
    return cell["softmax"]


def _closure() -> Any:
    def inner(x: Any) -> Any:
        return x

    return inner


REFUSED: dict[str, Callable[[], Any]] = {
    "a lambda;": lambda: lambda x: x,
    "`_closure.inner`, which is defined inside a function;": _closure,
    "`softmax`, which is defined in the running program or notebook;": _of_a_cell,
    "an object of Softmax without a name;": lambda: torch.nn.Softmax(-1),
    "an object of partial without a name;": lambda: partial(softmax),
    "`_VariableFunctionsClass.addmv`, which is another object in `torch`;": lambda: torch.addmv,
}
"""Objects that no other process can import, by their message."""


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_imported_is_refused_in_one_sentence(said: str) -> None:
    """It is refused before a process starts."""
    with pytest.raises(UsageError) as caught:
        harness.check(REFUSED[said](), "softmax", isolate=True)
    text = str(caught.value)
    assert said in text
    assert text.isprintable()


def test_what_is_said_of_an_isolated_function_is_said_in_words() -> None:
    """An adapter must be text, because a function belongs to this process."""
    with pytest.raises(UsageError, match="`call` together with `isolate`: it must be a string: the name of an adapter"):
        harness.check(rude.raises, "softmax", call=lambda f, x: f(x), isolate=True)


def test_an_isolated_function_is_judged_out_of_reach() -> None:
    """It ends only its worker, and the verdict is the same as that of the command."""
    from hostile.deadly import exits_with_success

    verdicts = harness.check(exits_with_success, "softmax", laws=["value"], dtypes=["float32"], isolate=True)
    assert [verdict.reason for verdict in verdicts] == [
        "hostile.deadly.exits_with_success ends the process with exit code 0"
    ]
