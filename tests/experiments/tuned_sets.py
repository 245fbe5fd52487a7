"""``python -m experiments.tuned_sets [NAMES]`` in ``tests/``: regret and words of the tuner on real data sets.

After each tuning, all configurations of the same batch size are measured again, interleaved. The regret is the share of
the best rate that the choice misses. A sentence that recommends workers, or predicts a gain from them, contradicts the
tuning if it has measured more workers.
"""

import io
import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from harness.bench.suites.test_tuner import _in_turns
from harness.bench.suites.tuning_held_apart import HELD_APART
from harness.execution.environment import usable_cores
from harness.record import geometric_mean, mean_ratio
from harness.tuner.configuration import LoaderKind, worker_counts
from harness.tuner.remark import on_workers, remarks
from harness.tuner.tuning import SearchSpace, Tuning

SECONDS, AGAIN_S, BATCH_SIZE = 10.0, 1.2, 128
PREDICTIONS = ("could make this", "use workers", "use more than", "try workers", "try more than")


class Augmented(Dataset[Any]):
    """PNG pictures of 128 x 128, decoded, flipped, cropped and rotated one by one."""

    def __init__(self) -> None:
        colours = np.random.default_rng(0)
        self.files = []
        for _ in range(64):
            stream = io.BytesIO()
            small = Image.fromarray(colours.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            small.resize((128, 128), Image.Resampling.BICUBIC).save(stream, "PNG")
            self.files.append(stream.getvalue())

    def __len__(self) -> int:
        return 4000

    def __getitem__(self, index: int) -> Any:
        picture = Image.open(io.BytesIO(self.files[index % 64])).convert("RGB")
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        turned = picture.crop((8, 8, 120, 120)).rotate(random.uniform(-10, 10))
        return torch.from_numpy(np.array(turned)).permute(2, 0, 1).float() / 255, index % 10


SETS = {"augmented PNG": Augmented, **HELD_APART}


def main(names: Sequence[str]) -> int:
    """Tune each data set, and print choice, regret and sentences; return the number of contradictions."""
    cores, contradictions = max(1, round(usable_cores())), 0
    for name in names or SETS:
        dataset = SETS[name]()
        tuning = Tuning(dataset, SearchSpace((BATCH_SIZE,), worker_counts(cores)), cores=cores, seconds=SECONDS)
        for _ in tuning.run():
            pass
        tuning.close_budget()
        state, advice, budget = tuning.standing, tuning.advice, tuning.budget
        assert state is not None
        assert advice is not None
        assert budget is not None
        kinds = (LoaderKind.ITEMS, LoaderKind.BATCHES) if advice.batch_s is not None else (LoaderKind.ITEMS,)
        choices = tuple(choice for kind in kinds for choice in tuning.space.grid(kind))
        rates = _in_turns(dataset, choices, AGAIN_S)
        best = max(rates, key=lambda choice: geometric_mean(rates[choice]).point)
        share = mean_ratio(rates[state.best], rates[best])
        workers = on_workers(tuning)
        said = [budget.sentence if workers is None else budget.sentence_with(workers), *remarks(tuning)]
        measured_more = any(choice.workers > state.best.workers for choice in state.rates)
        advised = [line for line in said if not line.startswith("do not use workers")]
        wrong = [line for line in advised if measured_more and any(word in line for word in PREDICTIONS)]
        contradictions += len(wrong)
        lines = [
            f"{name}: chose {state.best}; best again {best}",
            f"  {share.point:.1%} of the best rate ({share.low:.0%} to {share.high:.0%}), {tuning.spent_s:.1f} s; "
            f"{state.reason}",
            *(f"  {line}" for line in said),
            *(f"  CONTRADICTS: {line}" for line in wrong),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    return contradictions


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
