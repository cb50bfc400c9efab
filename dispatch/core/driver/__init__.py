"""The driver: the only judge of who holds them, and of whether they can be asked.

`states` says what is known, `decide` what comes of a command (by `duty` and `holding`), `evolve` what follows from an
event, `react` what it causes elsewhere, `deadlines` when the timer must speak.
"""

from dispatch.core.driver.deadlines import deadlines
from dispatch.core.driver.decide import decide, needs, rule_of
from dispatch.core.driver.evolve import evolve
from dispatch.core.driver.react import react
from dispatch.core.driver.states import Driver, initial, status, version

__all__ = ["Driver", "deadlines", "decide", "evolve", "initial", "needs", "react", "rule_of", "status", "version"]
