"""All defects, by package."""

from harness.adoption.defect import Defect, read_defects

DEFECTS = list(read_defects())


def by_package() -> dict[str, list[Defect]]:
    """Return the defects of each package, packages in the order of their first defect."""
    groups: dict[str, list[Defect]] = {}
    for one in DEFECTS:
        groups.setdefault(one.package, []).append(one)
    return groups
