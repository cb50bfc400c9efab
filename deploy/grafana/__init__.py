"""Grafana's dashboards, made from code: `python -m deploy.grafana` writes the JSON beside it, `--check` compares.

It uses the expressions of the alerts, so that a panel and an alert speak of the same figure. No process imports it.
"""
