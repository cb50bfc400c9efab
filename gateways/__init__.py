"""The doors: HTTP and WebSocket. They write commands, wait for what was decided, and tell drivers of their offers.

May import the contract, config, the log's health and logs, and the projections' queries; never the core.
`app` puts the routes together, `log_client` speaks with Kafka, `problems` words every error, `models` validates bodies.
"""
