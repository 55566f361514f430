"""Kill somebody again and again while all frontends are asked."""

from __future__ import annotations

from tests.cluster.lab import Lab
from tests.faults.frontends import Asked, Frontends, asking, until_more, wait_until_all_answer
from tests.faults.victims import Victim


def kill_under_load(lab: Lab, found: Frontends, victim: Victim, kills: int, rate: float, each: int) -> Asked:
    """Kill it so many times, with `each` connections after every kill; all frontends answer afterwards."""
    with asking(lab, found, rate, without="" if victim.component else victim.machine) as asked:
        for _ in range(kills):
            victim.kill(lab)
            until_more(asked, each)
    wait_until_all_answer(lab, found)
    return asked
