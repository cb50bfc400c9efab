"""Following deliveries: links for customers, the status in public words, streams (SSE) for tracking and operations.

May import what gateways may. `links` makes and checks tokens, `words` words rows and events, `feed` reads the log from
now on, `streams` is one reader's stream, `following` that of one delivery, `desk` that of operations.
"""
