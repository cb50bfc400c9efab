"""Checks the log against the rules by its own bookkeeping: imports the contract and the reader, nothing of the core.

`check_log` reads a whole log from Kafka, `check_records` takes records from anywhere; `checker` gives each record to
the books: `deliveries` and `drivers` fold events in their own small way, `decisions` holds them against what was
decided, `inputs` against what came in, `states` against what is stored. `report` words what was found.
"""

from dispatch.checker.checker import Checker
from dispatch.checker.decisions import Redecide
from dispatch.checker.log import check_log, check_records
from dispatch.checker.report import Place, Report, Violation
from dispatch.checker.states import Row

__all__ = ["Checker", "Place", "Redecide", "Report", "Row", "Violation", "check_log", "check_records"]
