"""One holder at a time among all processes and threads that use a login."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import Optional

from .problems import SetupProblem


class ProcessLock:
    """A lock on a file, by `fcntl` record locks. Get it from `lock_for`, never twice for one path.

    Record locks belong to the process: a child made by fork (Metaflow's `parallel_map`) inherits none, where a `flock`
    would stay held for as long as the child lives; they also work on network home folders. They do not exclude threads
    of one process, hence the second lock, and closing any descriptor of the file gives them up, hence one object per
    path. The file itself is never removed: a lock on a removed file excludes nobody.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._descriptor: Optional[int] = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked child starts with nothing held; the thread that held it exists in the parent only."""
        self._threads = threading.Lock()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free now. Never waits."""
        if not self._threads.acquire(blocking=False):
            return False
        try:
            self._descriptor = self._lock_file()
        finally:
            if self._descriptor is None:
                self._threads.release()
        return self._descriptor is not None

    def _lock_file(self) -> Optional[int]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupProblem(
                f"The lock file {self._path} cannot be opened ({error.strerror}); make its folder writable."
            ) from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise SetupProblem(
                f"{self._path} is on a file system without locks ({error.strerror}); "
                "point METAFLOW_GATEWAY_HOME at a folder on a local disk."
            ) from error

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
            self._threads.release()


_locks: dict[str, ProcessLock] = {}
_locks_guard = threading.Lock()


def lock_for(path: str) -> ProcessLock:
    name = os.path.realpath(path)
    with _locks_guard:
        if name not in _locks:
            _locks[name] = ProcessLock(name)
        return _locks[name]
