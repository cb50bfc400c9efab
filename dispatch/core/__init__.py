"""The rules, pure: no clock, no random numbers, no I/O, no ids but derived ones. Imports the contract and nothing else.

`delivery` and `driver` are the two aggregates, each six functions: initial, needs, decide, evolve, react, deadlines.
`policy` holds every number, `facts` what a decision may look at, `ranking`, `travel`, `terms` and `pay` the formulas.
"""
