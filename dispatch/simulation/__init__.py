"""The whole dispatch engine in one process on a virtual clock: the real host and core on a Kafka that is not there.

`plan` draws from a seed what happens, `running` lives it, `judge` says what broke, `shrink` finds the least of it that
still breaks.
"""

from dispatch.simulation.plan import Options, Plan, plan
from dispatch.simulation.running import Outcome, live, run

__all__ = ["Options", "Outcome", "Plan", "live", "plan", "run"]
