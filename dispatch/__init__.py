"""Baton's dispatch engine: contract, core, log host, inputs, processors, streams, checker, and the `baton` command."""

__version__ = "0.1.0"
