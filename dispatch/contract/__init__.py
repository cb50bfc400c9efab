"""The contract: what Baton says on Kafka, to itself and to others.

`schemas/*.avsc` is the source. `records/` is generated from it (`python -m dispatch.contract.generate`), `registry`
numbers the schemas, `codec` turns records into bytes and back, `limits` judges their values, `topics` is the catalogue
of topics, `identity` derives ids. This room imports nothing of ours.
"""
