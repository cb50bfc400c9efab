"""Keeping the read models: what tables mean, who may do what, for how long rows stay.

`dictionary` has the words of every table and column, `catalogue` for how long each table is kept and why, `roles` who
logs in and how often, `settling` what `baton setup` does behind the migrations, `retention` what operators ask and
change, `keeper` the thread of the projector that makes months ahead and lets old ones go.
"""
