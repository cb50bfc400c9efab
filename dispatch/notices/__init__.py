"""Telling people: notices from the log to customers, drivers, operations and support, each once; support tickets.

Reads the topics `notices` and `delivery.events`, keeps what became of each notice in Postgres
(docs/decisions/0006-told-once.md), and sends through webhooks and whatever apprise has a URL for. Names and phone
numbers are read when a notice is sent, and are in no log and no table of this room.

May import contract, core, config, log and inputs.
"""
