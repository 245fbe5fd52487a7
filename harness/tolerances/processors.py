"""Compare two runs of a suite on this processor with runs on others and with one thread.

A difference between two equal runs does not come from the processor, so nothing is concluded for such a place.
"""

import math
from collections.abc import Mapping

from harness.execution.processor import emulate_processors
from harness.record import Tolerance
from harness.tolerances.place import Judged, Place, Suite

HERE, AGAIN = "here", "here again"

NEAR = 0.5
"""A tolerance is tight if a right result uses more than half of it."""


def list_runs() -> Mapping[str, Mapping[str, str]]:
    """Return the environment variables of each run; the first two have none."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {HERE: {}, AGAIN: {}, "one thread": threads, **emulate_processors()}


def predict_failures(suites: Mapping[str, Suite]) -> Suite:
    """Return the suite of the first run with the places that other processors refuse, or nearly so, as tight.

    A place whose results are equal in all runs is not tight, even if its tolerance is below one unit in the last place.
    """
    first, runs = suites[HERE], group_by_place(suites)
    places = [_add_prediction(place, runs[place.key], len(suites)) for place in first.places]
    return first.model_copy(update={"places": tuple(places)})


def group_by_place(suites: Mapping[str, Suite]) -> Mapping[tuple[str, int, str], Mapping[str, Place]]:
    """Return the runs that have reached each place, by the place's key."""
    groups: dict[tuple[str, int, str], dict[str, Place]] = {}
    for name, suite in suites.items():
        for place in suite.places:
            groups.setdefault(place.key, {})[name] = place
    return groups


def _add_prediction(place: Place, runs: Mapping[str, Place], number: int) -> Place:
    """Add a comparison that is tight if a run uses more than half of the tolerance, and both runs here use far less."""
    if number > 1 and len(runs) == number and not any(run.difference for run in runs.values()):
        sound = {"answer": Tolerance.SOUND, "reason": ""}
        equal = tuple(
            one.model_copy(update=sound) if one.answer is Tolerance.TIGHT else one for one in place.comparisons
        )
        return place.model_copy(update={"comparisons": equal})
    again = runs.get(AGAIN)
    if again is None or place.answer is Tolerance.VACUOUS or not math.isclose(again.difference, place.difference):
        return place
    name, worst = max(((name, run) for name, run in runs.items() if name != HERE), key=lambda item: item[1].share)
    if worst.share <= NEAR or worst.share <= 2.0 * place.share:
        return place
    verb = "refuses the result" if worst.share == math.inf else "nearly refuses the result"
    reason = f"{verb} with {name}: it differs by {worst.difference:.2g} of its size, and by {place.difference:.2g} here"
    tight = Judged(answer=Tolerance.TIGHT, reason=reason, difference=worst.difference, share=worst.share)
    return place.model_copy(update={"comparisons": (tight, *place.comparisons)})
