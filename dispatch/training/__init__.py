"""Learning from the log: what drivers were asked, and what came of it. Run by a person, never by a worker.

`offers` reads the offers with what was known of each driver when asked; `acceptance` fits, judges and publishes the
model. scikit-learn is wanted here only (the extra `ml`).
"""
