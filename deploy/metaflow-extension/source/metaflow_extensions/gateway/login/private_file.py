"""Files that only their owner can read, at every instant of their life."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from typing import Any, Optional

from .problems import SetupProblem

FILE_BYTES_MAX = 256 * 1024
"""A file larger than this is not ours, and is not read."""


def make_private_folder(path: str) -> None:
    """Make `path` and its parents; `path` itself ends up as 0700 whatever the umask."""
    parent = os.path.dirname(path)
    try:
        os.makedirs(parent, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        if stat.S_IMODE(os.stat(path).st_mode) != 0o700:
            os.chmod(path, 0o700)
    except OSError as error:
        raise SetupProblem(
            f"The folder {path} cannot be used ({error.strerror}); make it writable or point METAFLOW_GATEWAY_HOME at another one."
        ) from error


def write_private_file(path: str, content: dict[str, Any]) -> None:
    """Replace `path` whole or not at all.

    The new content goes to a file of another name that is created with mode 0600 (O_EXCL: never one that somebody left
    there), so no other user can open it even while it is written; the umask can only take bits away, and `fchmod` gives
    the owner's back. Then it is renamed over the old one.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}.{secrets.token_hex(8)}")
    data = json.dumps(content, indent=1, sort_keys=True).encode()
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            try:
                os.fchmod(descriptor, 0o600)
                written = 0
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        _synchronize_folder(folder)
    except OSError as error:
        raise SetupProblem(
            f"The login cannot be stored in {path} ({error.strerror}); free space or make the folder writable, then log in again."
        ) from error


def _synchronize_folder(folder: str) -> None:
    """Make the rename survive a power cut. Some file systems refuse this on folders, and that is no loss worth an error."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


Signature = tuple[int, int, int]


def file_signature(path: str) -> Optional[Signature]:
    """What changes whenever the file is replaced; nothing if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def read_private_file(path: str) -> Optional[dict[str, Any]]:
    """The file's JSON object; nothing if there is no such file. Rights that others have on it are taken away first."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupProblem(f"{path} cannot be read ({error.strerror}); remove it and log in again.") from error
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            try:
                os.fchmod(descriptor, 0o600)
            except OSError as error:
                raise SetupProblem(
                    f"{path} can be read by others; run: chmod 600 {path}"
                ) from error
        data = file.read(FILE_BYTES_MAX + 1)
    try:
        if len(data) > FILE_BYTES_MAX:
            raise ValueError("too large")
        content = json.loads(data)
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise SetupProblem(f"{path} is damaged ({error}); remove it and log in again.") from error
    return content


def remove_file(path: str) -> bool:
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SetupProblem(f"{path} cannot be removed ({error.strerror}); remove it by hand.") from error
