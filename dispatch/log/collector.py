"""Python's collector of cycles, told to rest in processes that keep much and make few cycles."""

import gc


def rest_the_collector() -> None:
    """What it would walk again and again, every object kept, is all in use: five thousand sockets cost it a second.

    The young are looked through often and few at a time: whoever gathers a hundred thousand of them first stands still
    for as long as it takes to free them, which was a second and a half of a gateway on a full machine.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
