"""The program of the process for foreign code, and the description of the code to load.

It consists of a few modules of the package, with relative imports and under a random name. No file or module name there
mentions the harness.
"""

import json
import re
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from harness.calling.discovery import project_path, root_of
from harness.calling.target import ENTRY_POINTS
from harness.isolation.limits import GIBIBYTE, Limits

FUNCTIONS, LOADERS = "isolation.callee", "isolation.loader_handler"
"""The last modules of the programs that call functions and that read loaders; their imports are the others."""

_IMPORT = re.compile(r"^from (\.+)([\w.]*) import (.+)$", re.MULTILINE)
"""An import of another module of the package."""

_ENDS_WITH_PARENT = """
import ctypes, json, os, sys
try:
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
except (OSError, AttributeError):
    pass
"""

_LOADER = """
import types
def load(name, sources, line):
    for dotted, source in sources.items():
        parts = dotted.split('.') if dotted else []
        full = '.'.join([name, *parts])
        module = types.ModuleType(full)
        module.__file__ = f'<{name}>/' + '/'.join(parts)
        if source is None:
            module.__path__ = []
        module.__package__ = full if source is None else full.rpartition('.')[0]
        sys.modules[full] = module
        if parts:
            setattr(sys.modules[full.rpartition('.')[0]], parts[-1], module)
        if source is not None:
            exec(compile(source, module.__file__, 'exec'), vars(module))
    main = module.main
    for full in [full for full in sys.modules if full.split('.')[0] == name]:
        del sys.modules[full]
    main(line)
"""


_IMPORTED = """
import tempfile
def load(name, sources, line):
    folder = tempfile.mkdtemp()
    for dotted, source in sources.items():
        path = os.path.join(folder, name, *dotted.split('.')) if dotted else os.path.join(folder, name)
        if source is None:
            os.mkdir(path)
            path = os.path.join(path, '__init__')
        with open(path + '.py', 'w', encoding='utf-8') as file:
            file.write(source or '')
    sys.path.append(folder)
    __import__('importlib').import_module(name + '.' + dotted).main(line)
"""
"""Loading from files, for modules that a loader's workers import again if they are not forked."""

_BEGIN = """
load(NAME, json.loads(SOURCES), l)
"""


def program(*, loaders: bool = False) -> bytes:
    """Return the text of the program, under a new random name.

    Parameters
    ----------
    loaders
        Whether to include the modules for loaders.
    """
    name = f"m{secrets.token_hex(6)}"
    loader, last = (_IMPORTED, LOADERS) if loaders else (_LOADER, FUNCTIONS)
    text = f"{_ENDS_WITH_PARENT}{loader}{_BEGIN}"
    return text.replace("NAME", repr(name)).replace("SOURCES", repr(_with_packages(last))).encode()


def setup(target: str, call: str | None, limits: Limits, root: str | None = None) -> dict[str, Any]:
    """Return the description of the code to load, without importing it."""
    from importlib.metadata import entry_points

    path, colon, name = target.partition(":")
    own_root = root_of(target)
    points = [] if colon else [point.value for point in entry_points(group=ENTRY_POINTS) if point.name == path]
    return {
        "target": f"{points[0] if points else path}{colon}{name}",
        "call": call,
        "path": [*filter(None, [root if own_root is None else str(own_root)]), *project_path()],
        "declares": "harness.case",
        "objects": False,
        "memory": None if limits.memory_gib is None else int(limits.memory_gib * GIBIBYTE),
    }


@cache
def _with_packages(last: str) -> str:
    """Return the sources of a program as JSON; ``null`` for packages, which have only names."""
    sources: dict[str, str | None] = {"": None}
    for module, source in sources_of(last).items():
        sources.setdefault(module.rpartition(".")[0], None)
        sources[module] = source
    return json.dumps(sources)


def sources_of(last: str) -> dict[str, str]:
    """Return the source of a module of the package, after the sources of the modules that it imports."""
    sources: dict[str, str] = {}

    def add(module: str) -> None:
        source = _file(module).read_text(encoding="utf-8")
        for dots, name, names in _IMPORT.findall(source):
            base = ".".join([*module.split(".")[: -len(dots)], *filter(None, [name])])
            inside = [f"{base}.{one}".lstrip(".") for one in names.split(", ")]
            for imported in [base] if _file(base).is_file() else inside:
                if imported not in sources:
                    add(imported)
        sources[module] = source

    add(last)
    return sources


def _file(module: str) -> Path:
    return Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
