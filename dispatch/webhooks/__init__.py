"""Webhooks to sellers: what happens to their deliveries, in order, signed, tried for three days.

Reads the topic `delivery.events`, keeps endpoints, messages and attempts in Postgres (docs/decisions/0015), and sends
them as Standard Webhooks has it. Nothing here holds a customer's name, phone, address or exact place.

May import contract, config and log. Gateways use `endpoints`, `kinds`, `sealing` and `targets`.
"""
