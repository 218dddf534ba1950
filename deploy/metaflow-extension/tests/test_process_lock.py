"""One holder among processes, threads and forked children."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from metaflow_extensions.gateway.login import process_lock
from metaflow_extensions.gateway.login.problems import SetupProblem
from metaflow_extensions.gateway.login.process_lock import lock_for

SOURCE = str(Path(process_lock.__file__).parents[3])
TRY = "import sys; from metaflow_extensions.gateway.login.process_lock import lock_for; sys.exit(0 if lock_for(sys.argv[1]).try_acquire() else 3)"


def another_process_gets(path: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", TRY, str(path)], env={**os.environ, "PYTHONPATH": SOURCE})
    assert done.returncode in (0, 3)
    return done.returncode == 0


def test_a_path_has_one_lock_object(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert lock_for(str(tmp_path / "a")) is lock_for(str(tmp_path / "link" / "a"))
    assert lock_for(str(tmp_path / "a")) is not lock_for(str(tmp_path / "b"))


def test_processes_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = lock_for(str(path))
    assert another_process_gets(path)
    assert lock.try_acquire()
    assert not another_process_gets(path)
    lock.release()
    assert another_process_gets(path)


def test_a_process_that_dies_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert another_process_gets(path)
    assert lock_for(str(path)).try_acquire()
    lock_for(str(path)).release()


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    lock = lock_for(str(tmp_path / "lock"))
    assert lock.try_acquire()
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(lock.try_acquire()))
    thread.start()
    thread.join()
    assert results == [False]
    lock.release()


def test_a_forked_child_holds_nothing_and_its_end_frees_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = lock_for(str(path))
    assert lock.try_acquire()
    child = os.fork()
    if child == 0:
        os._exit(3 if lock.try_acquire() else 0)
    assert os.waitpid(child, 0)[1] == 0, "the child took a lock that its parent holds"
    assert not another_process_gets(path)
    lock.release()
    # A child that lives on must not keep the lock that its parent has given back.
    assert lock.try_acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    lock.release()
    assert another_process_gets(path)
    os.write(writing, b"x")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lock = lock_for(str(tmp_path / "lock"))
        assert lock.try_acquire()
        lock.release()
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    lock = lock_for(str(tmp_path / "none" / "lock"))
    for _ in range(2):
        with pytest.raises(SetupProblem):
            lock.try_acquire()
