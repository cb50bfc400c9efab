"""Threads that meet the same types for the first time at once."""

import subprocess
import sys

MEET = """
import sys, threading
from msgspec import convert, defstruct
sys.setswitchinterval(1e-6)
for _ in range(10):
    kind, document = int, 1
    for depth in range(20):
        fields = [(f"field_{number}", list[int]) for number in range(30)]
        kind = defstruct(f"Level{depth}", [*fields, ("below", kind)])
        document = {**{name: [1] for name, _ in fields}, "below": document}
    together = threading.Barrier(8)
    def meet():
        together.wait()
        convert(document, kind)
    threads = [threading.Thread(target=meet) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("all met")
"""


def test_threads_may_read_the_first_record_of_a_type_together() -> None:
    """As at the start of a process, when its followers all meet the policy: msgspec 0.22 ended the process with it."""
    ran = subprocess.run([sys.executable, "-c", MEET], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "all met\n"), ran.stderr[-2000:]
