"""What Prometheus is given: alert rules and their tests, made from code, and where to scrape.

`python -m deploy.prometheus` writes the three files beside it, `--check` compares. It imports
the catalogue of metrics and the names of flags, and no process imports it.
"""
