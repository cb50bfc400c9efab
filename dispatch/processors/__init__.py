"""Where the pure core meets the log: aggregates for the host, the inbound door, and the worker that runs them.

May import core, log, inputs and the contract.
"""
