"""What Prometheus is given: alert rules and their tests, made from code, and where to scrape.

`python -m deploy.prometheus` writes `alerts.yml` and `alerts_test.yml`, `--check` compares. A tool of the developer: it
imports the catalogue of metrics and the names of flags, and no process imports it.
"""
