"""The types for TypeScript are current, and a compiler takes them."""

import re
import shutil
import subprocess

import pytest

from gateways.documents import typescript

CLIENT = """
import type { Operations, ToDriver, OrderBody } from "./baton";
const heard = (message: ToDriver): string => message.type === "OFFER_ENDED" ? message.why : message.type;
const order: Operations["orderReady"]["body"] = {} as OrderBody;
const wrong: ToDriver = {type: "NOTHING"};
"""


def test_the_types_are_current() -> None:
    assert typescript.main(["--check"]) == 0


def test_every_door_and_every_message_is_typed() -> None:
    text = typescript.TARGET.read_text()
    assert re.search(r'orderReady: \{ method: "POST"; path: "/v2/orders/ready".*body: OrderBody; answer: Outcome', text)
    assert "export type ToDriver = DeliveryOffered | DeliveryAssigned |" in text
    assert re.search(r"export interface OrderBody \{\n.*seller_id: string;", text)


@pytest.mark.skipif(shutil.which("tsc") is None, reason="no TypeScript compiler (tsc) on this machine")
def test_a_compiler_takes_them_and_finds_what_is_wrong(tmp_path: object) -> None:
    import pathlib

    folder = pathlib.Path(str(tmp_path))
    (folder / "baton.d.ts").write_text(typescript.TARGET.read_text())
    (folder / "client.ts").write_text(CLIENT)
    done = subprocess.run(
        ["tsc", "--noEmit", "--strict", "client.ts"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert [line for line in done.stdout.splitlines() if "error" in line and "NOTHING" not in line] == []
    assert "NOTHING" in done.stdout
