"""The audit proves itself: rows by their bytes and chain, stretches of them by signed anchors, a delivery by a bundle.

`proof` says what of a row does not fit, `chain` what is missing or too much between rows, `merkle` and `anchor` hold
stretches of rows in one signed hash, `anchors` writes them, `verify` looks at the whole table, `against_log` compares
it with Kafka, `bundle` and `export` give one delivery out so that it can be checked with nothing else at hand.
"""
