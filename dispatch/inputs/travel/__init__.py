"""How long the ways are, before and after a driver: on the road where a routing engine knows it, else by the formula.

`port` says what is asked and answered, `osrm` asks the engine, `roads` keeps it within its time limit, remembers what
it said and never raises, `lookup` adds it and what was learned of arrivals to the worker's searches.
"""

from dispatch.inputs.travel.lookup import with_travel
from dispatch.inputs.travel.port import Asked, Found, Road, RoutingUnavailable
from dispatch.inputs.travel.roads import Roads, open_roads

__all__ = ["Asked", "Found", "Road", "Roads", "RoutingUnavailable", "open_roads", "with_travel"]
