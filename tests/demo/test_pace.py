"""A slow machine's city lives slower, within bounds."""

import pytest

from deploy.demo.pace import AT_EASE_S, FASTEST, SLOWEST, measured, pace


@pytest.mark.parametrize(
    ("slower", "speed"), [(0.2, FASTEST), (1, FASTEST), (1.2, 50), (1.5, 40), (2, SLOWEST), (40, SLOWEST)]
)
def test_a_slower_machine_lives_slower(slower: float, speed: float) -> None:
    assert pace(AT_EASE_S * slower) == speed


def test_the_work_is_measured_by_running_it() -> None:
    runs = []
    assert measured(lambda: runs.append(1)) >= 0
    assert len(runs) > 5
