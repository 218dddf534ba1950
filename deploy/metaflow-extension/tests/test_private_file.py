"""The files of a login: private at every instant, replaced whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from metaflow_extensions.gateway.login import private_file
from metaflow_extensions.gateway.login.private_file import (
    file_signature,
    make_private_folder,
    read_private_file,
    remove_file,
    write_private_file,
)
from metaflow_extensions.gateway.login.problems import SetupProblem


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777])
def umask(request: pytest.FixtureRequest) -> Any:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_file_is_0600_and_a_folder_0700_under_any_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "folder"
    make_private_folder(str(folder))
    assert mode(folder) == 0o700
    path = str(folder / "tokens.json")
    write_private_file(path, {"a": 1})
    assert mode(path) == 0o600
    write_private_file(path, {"a": 2})
    assert mode(path) == 0o600
    assert read_private_file(path) == {"a": 2}
    assert os.listdir(folder) == ["tokens.json"]


def test_no_other_user_could_open_the_file_at_any_system_call(tmp_path: Path) -> None:
    """strace shows every name and mode that the process gives to the kernel, also those that exist for an instant."""
    trace = tmp_path / "trace"
    script = (
        "import os, sys; os.umask(0)\n"
        "from metaflow_extensions.gateway.login.private_file import write_private_file\n"
        f"for n in range(3): write_private_file({str(tmp_path / 'tokens.json')!r}, {{'n': n}})\n"
    )
    source = str(Path(private_file.__file__).parents[3])
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=open,openat,creat,rename,renameat,renameat2,chmod,fchmod,fchmodat,link,linkat", "-o", str(trace), sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 and "ptrace" in done.stderr:
        pytest.skip("this machine does not allow tracing")
    assert done.returncode == 0, done.stderr
    created = [line for line in trace.read_text().splitlines() if "O_CREAT" in line and "tokens.json" in line]
    assert len(created) == 3
    assert all("O_EXCL" in line and ", 0600)" in line for line in created), created
    changed = [line for line in trace.read_text().splitlines() if "chmod" in line]
    assert all(", 0600)" in line for line in changed), changed


def test_a_watcher_never_sees_a_file_that_others_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for entry in os.scandir(tmp_path):
                try:
                    seen.add(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode))
                except FileNotFoundError:
                    pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for n in range(300):
            write_private_file(str(tmp_path / "tokens.json"), {"n": n, "padding": "x" * 5000})
    finally:
        done.set()
        watcher.join()
        os.umask(before)
    assert seen == {0o600}


def test_a_reader_sees_the_old_content_or_the_new_and_never_a_part(tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.json")
    write_private_file(path, {"n": 0, "padding": ["x" * 1000] * 50})
    done = threading.Event()
    problems: list[Exception] = []

    def read() -> None:
        while not done.is_set():
            try:
                content = read_private_file(path)
                assert content is not None and len(content["padding"]) == 50
            except Exception as error:
                problems.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        write_private_file(path, {"n": n, "padding": ["x" * 1000] * 50})
    done.set()
    reader.join()
    assert problems == []


def test_rights_that_others_have_are_taken_away_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text('{"a": 1}')
    path.chmod(0o644)
    assert read_private_file(str(path)) == {"a": 1}
    assert mode(path) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "3", '{"a": ' + "[" * 100000, "x" * (private_file.FILE_BYTES_MAX + 1), "\xff"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(SetupProblem) as caught:
        read_private_file(str(path))
    assert "damaged" in caught.value.sentence and "log in again" in caught.value.sentence


def test_a_missing_file_is_nothing(tmp_path: Path) -> None:
    assert read_private_file(str(tmp_path / "none")) is None
    assert file_signature(str(tmp_path / "none")) is None
    assert remove_file(str(tmp_path / "none")) is False


def test_a_link_in_the_files_place_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "tokens.json").symlink_to(target)
    write_private_file(str(tmp_path / "tokens.json"), {"a": 1})
    assert target.read_text() == "precious"
    assert not (tmp_path / "tokens.json").is_symlink()


def test_the_signature_changes_with_every_replacement(tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.json")
    signatures = set()
    for _ in range(20):
        write_private_file(path, {"a": 1})
        signatures.add(file_signature(path))
    assert len(signatures) >= 19


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "tokens.json")
    write_private_file(path, {"a": 1})

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(SetupProblem) as caught:
        write_private_file(path, {"a": 2})
    monkeypatch.undo()
    assert "No space left" in caught.value.sentence
    assert json.loads(Path(path).read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["tokens.json"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupProblem) as caught:
        make_private_folder(str(tmp_path / "file" / "folder"))
    assert "METAFLOW_GATEWAY_HOME" in caught.value.sentence
