"""Read models in Postgres, folded from the events; rebuilt from them, never decided by them.

`models` has one file a table, `runtime` folds batches with their offsets in one transaction, `migrations` are Alembic's,
`queries` is what gateways and the command line read, `story` tells a delivery in words. Imports the contract (and the
log's health, logs and topics readers), nothing else of dispatch.
"""
