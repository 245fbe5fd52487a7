"""All defects, by package."""

from wild import of_distributions, of_jax, of_models, of_statistics, of_torch
from wild.defect import Defect

DEFECTS: list[Defect] = [
    *of_torch.DEFECTS,
    *of_distributions.DEFECTS,
    *of_jax.DEFECTS,
    *of_statistics.DEFECTS,
    *of_models.DEFECTS,
]


def by_package() -> dict[str, list[Defect]]:
    """Return the defects of each package, packages in the order of their first defect."""
    groups: dict[str, list[Defect]] = {}
    for one in DEFECTS:
        groups.setdefault(one.package, []).append(one)
    return groups
