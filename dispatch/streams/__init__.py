"""Derived streams: only what can be rebuilt from the log. The geo index, signs of life, wake-ups, drivers gone astray.

`fleet` folds what is known of drivers, `approach` and `waiting` are pure rules, `geo_feed` reads, writes and sends.
May import contract, core (formulas and policy), inputs and log.
"""
