"""The exercises of the course: one for each module of the package ``exercises``."""

import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module

from harness.cli.course import exercises as package
from harness.cli.course.exercise import Exercise
from harness.error import UsageError, did_you_mean


@cache
def exercises() -> dict[str, Exercise]:
    """Return the exercises by name, in the order of the course."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = [replace(import_module(f"{package.__name__}.{name}").EXERCISE, name=name) for name in names]
    return {exercise.name: exercise for exercise in sorted(found, key=lambda exercise: exercise.number)}


def exercise_named(name: str) -> Exercise:
    """Return the exercise with a name.

    Raises
    ------
    UsageError
        If there is no such exercise.
    """
    if name not in exercises():
        remedy = did_you_mean(name, exercises(), "`harness learn` lists the exercises")
        raise UsageError(f"unknown exercise `{name}`", remedy=remedy)
    return exercises()[name]
