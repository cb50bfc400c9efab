"""The delivery: at every moment at most one holder, from an order that is ready to a customer's hands.

`states` says what is known, `decide` what comes of a command (by `orders`, `offering`, `holding`, `watching`), `evolve`
what follows from an event, `react` what it causes elsewhere, `deadlines` when the timer must speak.
"""

from dispatch.core.delivery.deadlines import deadlines
from dispatch.core.delivery.decide import decide, needs, rule_of
from dispatch.core.delivery.evolve import evolve
from dispatch.core.delivery.react import react
from dispatch.core.delivery.states import Delivery, initial, status, version

__all__ = ["Delivery", "deadlines", "decide", "evolve", "initial", "needs", "react", "rule_of", "status", "version"]
