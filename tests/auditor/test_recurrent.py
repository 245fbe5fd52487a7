"""oneDNN's recurrent layer, for which torch has no float64 kernel."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import harness

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")


@pytest.mark.parametrize("kind", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}])
def test_an_lstm_of_one_dnn_is_followed(kind: dict[str, Any]) -> None:
    """Both passes are accurate to float32. An unsupported layer is named with its line."""
    torch.manual_seed(0)
    model, x = nn.LSTM(4, 5, **kind), torch.randn(3, 2, 4)

    def step(layer: nn.LSTM) -> list[Tensor]:
        output, (h, c) = layer(x)
        (output.square().sum() + h.sum() + c.cos().sum()).backward()
        return [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]

    with harness.audit() as found:
        audited = step(model)
    model.zero_grad()
    assert all(map(torch.equal, audited, step(model)))
    assert (found.findings, found.record.blind) == ((), {})
    assert all(stretch.error is not None and stretch.error < 1e-5 for stretch in found.record.errors)
    with harness.audit() as unlike:
        step(nn.LSTM(4, 5, bias=False))
    assert {name.partition(":")[0] for name in unlike.record.blind} == {
        f"mkldnn_rnn_layer{back} at {__file__}" for back in ("", "_backward")
    }
