"""What a run of odd requests holds every answer to."""

from typing import Any

import schemathesis


@schemathesis.check
def no_fault(_context: Any, response: Any, case: Any) -> None:
    """No 500, and errors in the one form. 503 is no fault: a part may be away or late."""
    where = f"{case.method} {case.path}"
    assert response.status_code not in (500, 501, 502, 504), f"{where}: {response.status_code} {response.text[:300]}"
    if response.status_code >= 400 and case.method != "HEAD":
        kind = (response.headers.get("content-type") or [""])[0]
        assert "json" in kind, f"{where}: {response.status_code} as {kind}"
        body = response.json()
        assert "code" in body or "error_code" in body, f"{where}: {response.text[:300]}"
