"""The folders of installed code, which is not the author's own."""

import sysconfig


def python_folders() -> tuple[str, str]:
    """Return the folders of the standard library."""
    paths = sysconfig.get_paths()
    return paths["stdlib"], paths["platstdlib"]


def package_folders() -> tuple[str, str]:
    """Return the folders of installed packages."""
    paths = sysconfig.get_paths()
    return paths["purelib"], paths["platlib"]
