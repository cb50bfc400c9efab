"""Read models in Postgres, folded from the events; rebuilt from them, never decided by them.

`models` has one file a table, `runtime` folds batches with their offsets in one transaction, `migrations` are for
Alembic, `queries` is what gateways and the command line read, `story` tells a delivery in words. Imports the contract
(and the log's health, logs and readers), nothing else of dispatch.
"""
