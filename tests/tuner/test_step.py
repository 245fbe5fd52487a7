"""Steps: the accelerator is waited for, so that the time of a step includes what it queues."""

from harness.tuner.step import Synthetic, wait_for_accelerator


class Device:
    """An accelerator that notes what happens."""

    name = "fake"

    def __init__(self) -> None:
        self.log: list[str] = []

    def synchronize(self) -> None:
        """Note the wait."""
        self.log.append("wait")


def test_the_accelerator_is_waited_for_after_each_step() -> None:
    """The result of the step is passed on."""
    device = Device()
    step = wait_for_accelerator(lambda batch: device.log.append("step") or batch + 1, device)  # type: ignore[arg-type]
    assert step(1) == 2
    assert device.log == ["step", "wait"]


def test_without_an_accelerator_a_step_stays_as_it_is() -> None:
    """So does a step of known duration."""
    synthetic = Synthetic(0.0)
    assert wait_for_accelerator(abs, None) is abs
    assert wait_for_accelerator(synthetic, Device()) is synthetic  # type: ignore[arg-type]
