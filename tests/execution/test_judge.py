"""The judge has imported everything that decides a verdict before user code starts."""

import json
import subprocess
import sys
from typing import Any

import pytest

JUDGE = """
import json, os, sys, types
from harness.execution.plan import from_document
from harness.execution.worker import _Isolated
from harness.isolation import fork_server
from harness.isolation.child import Child
from harness.isolation.limits import Limits

fork_server.sys = types.SimpleNamespace(executable=sys.argv[2], platform=sys.platform)  # user code starts soon

def judge_plan(document):
    before = set()
    start = Child.start

    def start_late(child):
        before.update(before and () or sys.modules)
        start(child)

    Child.start = start_late
    judge = _Isolated(from_document(document), Limits(), None)
    judge.prepare()
    limits = {"call_s": 60.0, "first_call_s": 60.0, "law_s": 300.0}
    lost = [index for index in range(len(judge.about)) if judge.do(index, **limits).failure is not None]
    judge._child.close()
    return lost, sorted(set(sys.modules) - before)

for document in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if not (process := os.fork()):
        print(json.dumps(judge_plan(document)), flush=True)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0
"""
"""A process for each plan, in which the judge imports what the plan needs."""

LATE = ("harness", "torch", "numpy", "flint", "hypothesis", "pydantic", "scipy", "sympy", "libcst")
"""Packages of which the judge imports nothing more."""

CODE = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def swish(x):
    return x * torch.sigmoid(1.5 * x)

def mse(y_hat, y):
    return ((y_hat - y) ** 2).mean() / 3

def fails(x):
    raise ValueError("no")

def loader(batch_size=4, num_workers=0, shuffle=False, drop_last=False):
    samples = TensorDataset(torch.arange(9.0))
    return DataLoader(samples, batch_size, num_workers=num_workers, shuffle=shuffle, drop_last=drop_last)
"""

CAMPAIGN = "harness.verdict.campaign", "Campaign"
PLANS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "naive": (*CAMPAIGN, {"contract": "softmax", "recheck_seed": 7}),
    "fails": (*CAMPAIGN, {"contract": "softmax"}),
    "swish": (*CAMPAIGN, {"contract": "formula: x * sigmoid(x)"}),
    "mse": (*CAMPAIGN, {"contract": "squared_error"}),
    "loader": (*CAMPAIGN, {"contract": "data_loader", "laws": ["each_sample_once"]}),
    "naive surveyed": ("harness.surveyor.plan", "Survey", {"contract": "softmax", "laws": ["value"], "batches": 1}),
}
"""Questions about the functions above; some laws break, because the search for a cause needs more modules."""


@pytest.fixture(scope="module")
def judged(python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[int], list[str]]]:
    """The lost parts of each plan, and the modules that the judge imported after it had started user code."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    documents = [
        {
            "module": module,
            "name": kind,
            "facts": {"target": f"own.py:{name.split()[0]}", "dtypes": ["float32"], **facts},
        }
        for name, (module, kind, facts) in PLANS.items()
    ]
    words = [sys.executable, "-P", "-c", JUDGE, json.dumps(documents), python]
    output = subprocess.run(words, cwd=folder, capture_output=True, check=True, text=True).stdout
    return dict(zip(PLANS, map(json.loads, output.splitlines()), strict=True))


@pytest.mark.parametrize("name", PLANS)
def test_the_judge_imports_nothing_after_user_code_starts(
    judged: dict[str, tuple[list[int], list[str]]], name: str
) -> None:
    """Code that rewrites the installed files would decide about its own verdict."""
    lost, imported = judged[name]
    assert lost == []
    assert [late for late in imported if late.partition(".")[0] in LATE] == []
