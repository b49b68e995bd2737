"""Several slow things side by side: most of what they do is wait for sessions to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def side_by_side(jobs: Sequence[tuple[str, Callable[[], object]]]) -> None:
    """Runs named jobs in threads of their own and waits for all; raises AssertionError naming each that failed.

    Processes that a job starts must end with it (leash.py).
    """
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [(name, pool.submit(job)) for name, job in jobs]
        failed = [f"== {name}: {type(e).__name__}: {e}" for name, future in running if (e := future.exception())]
    if failed:
        raise AssertionError(f"{len(failed)} of {len(jobs)} failed\n" + "\n".join(failed))
