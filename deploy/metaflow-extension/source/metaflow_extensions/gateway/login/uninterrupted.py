"""Work that a Ctrl-C must not cut in half."""

from __future__ import annotations

import threading
from typing import Callable, Generic, TypeVar

Result = TypeVar("Result")


class _Work(Generic[Result]):
    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self.results: list[Result] = []
        self.errors: list[BaseException] = []
        self.done = threading.Event()

    def __call__(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as error:  # handed to the caller, whatever it is
            self.errors.append(error)
        finally:
            self.done.set()


def run_uninterrupted(work: Callable[[], Result]) -> Result:
    """Run `work` to its end even if this thread is interrupted meanwhile.

    A provider that rotates refresh tokens has spent the old one when it answers: a KeyboardInterrupt between its answer
    and the file would leave a dead login behind. Signals reach Python's main thread only, and an interpreter that exits
    waits for threads that are not daemons.
    """
    job = _Work(work)
    thread = threading.Thread(target=job, name="metaflow-gateway-refresh", daemon=False)
    try:
        thread.start()
    except RuntimeError:
        # Python 3.12 and later start no thread while the interpreter is ending.
        return work()
    # Not `join`: interrupted, it marks the thread as stopped (CPython 3.11 and before), and then the end waits for nothing.
    job.done.wait()
    if job.errors:
        raise job.errors[0]
    return job.results[0]
