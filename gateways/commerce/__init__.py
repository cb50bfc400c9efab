"""Doors to the rules and to what is asked before checkout: policy, flags, zones, incentives, quotes; and the proofs.

`desk` makes the changes, which take their time, beside the event loop; `following` keeps what is in force at hand.
"""
