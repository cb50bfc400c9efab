"""Makes `city` importable by its name, and the pipeline's running dispatch."""

import sys
from pathlib import Path

for folder in ("replay", "pipeline"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
