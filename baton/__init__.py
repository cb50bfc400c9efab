"""Baton for programs that use it. `baton.client` stands alone: it imports nothing of the engine."""
