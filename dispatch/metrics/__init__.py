"""The catalogue of metrics: every metric of every process, with kind, help, labels, buckets and unit.

`form` says how one is declared; each other module declares those of one part of Baton. A room imports the module that
it counts in, so a process shows what it counts and nothing else; `catalogue` has them all, for documents, alerts,
dashboards and tests. Imports nothing of ours.
"""
