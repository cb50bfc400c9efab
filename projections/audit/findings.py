"""What may be wrong with the audit, told with the place."""

from typing import Literal

import msgspec

Kind = Literal["changed", "unproved", "missing", "inserted", "doubled", "out of order", "cut", "anchor", "log", "guard"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. Offset -1: it is about no row in particular."""

    kind: Kind
    topic: str
    partition: int
    offset: int
    text: str
    delivery_id: str = ""
    columns: tuple[str, ...] = ()

    def sentence(self) -> str:
        """For people."""
        where = f"{self.topic}/{self.partition}" + (f"/{self.offset}" if self.offset >= 0 else "")
        whose = f" (delivery {self.delivery_id})" if self.delivery_id else ""
        return f"{where}{whose}: {self.kind}: {self.text}"
