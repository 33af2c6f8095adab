"""How long a process that ended is left alone before it is started again."""

from __future__ import annotations

from worker.restarts import Restarts


def test_the_wait_doubles_up_to_the_longest() -> None:
    restarts = Restarts(0.2, 30.0, 60.0)
    waits = [restarts.wait_s(lived_s=0) for _ in range(1_000)]
    assert waits[:9] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    assert waits[-1] == 30.0


def test_one_that_lived_long_begins_again_with_the_shortest() -> None:
    restarts = Restarts(0.2, 30.0, 60.0)
    assert [restarts.wait_s(lived_s) for lived_s in (0, 59.9, 60.0, 0)] == [0.2, 0.4, 0.2, 0.4]
