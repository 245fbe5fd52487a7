"""The watch notices side effects of a call, and ignores other code."""

import threading

from harness.calling.watch import Watch


def test_a_thread_that_comes_to_its_end_during_a_call_is_none_of_its_doing() -> None:
    """Other code, such as a pool that is released, may end its threads at any time."""
    end = threading.Event()
    others = threading.Thread(target=end.wait)
    others.start()
    watch = Watch(draws=True)
    watch.call(int)

    def call() -> int:
        end.set()
        others.join()
        return 1

    assert watch.call(call) == 1
    assert watch.noticed is None
