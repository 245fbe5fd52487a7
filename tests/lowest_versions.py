"""Run ``pip install`` with the lowest versions that pyproject.toml supports: the command of ``tox run -e oldest``."""

import subprocess
import sys
import tempfile
import tomllib
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def constraints() -> list[str]:
    """Return the lower bound of each package that the project or one of its extras needs, as a constraint of pip."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    requirements = chain(project["dependencies"], *project["optional-dependencies"].values())
    return sorted({requirement.replace(">=", "==") for requirement in requirements if ">=" in requirement})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "constraints.txt")
        file.write_text("\n".join(constraints()), encoding="utf-8")
        command = [sys.executable, "-I", "-m", "pip", "install", "--constraint", str(file), *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
