"""Checks the log against the rules by its own bookkeeping: imports the contract and the reader, nothing of the core.

`rules` judges events one by one, `report` words what was found, `check_log` reads a whole log from Kafka.
"""

from dispatch.checker.log import check_log
from dispatch.checker.report import Report, Violation
from dispatch.checker.rules import Checker

__all__ = ["Checker", "Report", "Violation", "check_log"]
