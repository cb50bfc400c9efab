"""Makes `receiving`, and the whole system of the gateways' tests, importable by their names."""

import sys
from pathlib import Path

for room in ("notices", "gateways"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))
