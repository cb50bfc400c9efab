"""Python's collector of cycles, told to rest in processes that keep much and make few cycles."""

import gc


def rest_the_collector() -> None:
    """What it would walk again and again, every object kept, is all in use: five thousand sockets cost it a second."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
