#!/usr/bin/env python3
"""Build the wheel with the standard library alone: `python3 build_wheel.py [--out FOLDER]`.

The same source gives the same bytes on every machine: entries in a fixed order, stored rather than compressed (zlib
versions differ), with fixed modes and one time stamp (SOURCE_DATE_EPOCH; else 1980-01-01, the earliest that a zip file
can hold). `/cli/config` names the file's SHA-256, so two builds must agree. pip uses this file too (PEP 517, PEP 660).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Optional

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "source"
NAME = "metaflow_gateway_extension"
TOP_LEVEL = ("metaflow_extensions", "metaflow_gateway_login")
SUMMARY = "Log in to a stage of the Metaflow platform once; runs refresh the login by themselves."
REQUIRES_PYTHON = ">=3.9"
REQUIRES = ("metaflow>=2.13",)
SCRIPT = "metaflow-gateway-login = metaflow_gateway_login:main"
EARLIEST = 315532800
"""1980-01-01T00:00:00Z."""
LATEST = 4354819198
"""2107-12-31T23:59:58Z."""


def version() -> str:
    text = (SOURCE / "metaflow_extensions/gateway/login/version.py").read_text(encoding="utf-8")
    match = re.search(r'^VERSION = "([0-9]+(?:\.[0-9]+)*)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit("version.py has no line VERSION = \"N.N.N\"")
    return match.group(1)


def wheel_name() -> str:
    return f"{NAME}-{version()}-py3-none-any.whl"


def _source_files() -> list[tuple[str, bytes]]:
    files = []
    for top in TOP_LEVEL:
        for path in sorted((SOURCE / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix in (".py", ".typed"):
                files.append((path.relative_to(SOURCE).as_posix(), path.read_bytes()))
    return files


def _metadata() -> list[tuple[str, bytes]]:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {NAME}",
        f"Version: {version()}",
        f"Summary: {SUMMARY}",
        f"Requires-Python: {REQUIRES_PYTHON}",
        *(f"Requires-Dist: {each}" for each in REQUIRES),
    ]
    return [
        ("METADATA", ("\n".join(lines) + "\n").encode()),
        ("WHEEL", f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: true\nTag: py3-none-any\n".encode()),
        ("entry_points.txt", f"[console_scripts]\n{SCRIPT}\n".encode()),
        # Metaflow finds extensions by this file.
        ("top_level.txt", ("\n".join(TOP_LEVEL) + "\n").encode()),
    ]


def _time_stamp() -> tuple[int, int, int, int, int, int]:
    seconds = min(max(int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST)), EARLIEST), LATEST)
    moment = time.gmtime(seconds)
    return (moment.tm_year, moment.tm_mon, moment.tm_mday, moment.tm_hour, moment.tm_min, moment.tm_sec)


def _write(path: Path, files: list[tuple[str, bytes]]) -> None:
    information = f"{NAME}-{version()}.dist-info"
    entries = files + [(f"{information}/{name}", data) for name, data in _metadata()]
    record = ""
    for name, data in entries:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    record += f"{information}/RECORD,,\n"
    entries.append((f"{information}/RECORD", record.encode()))
    stamp = _time_stamp()
    temporary = path.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name, stamp)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    os.replace(temporary, path)


def build_wheel(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """PEP 517."""
    _write(Path(wheel_directory) / wheel_name(), _source_files())
    return wheel_name()


def build_editable(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """PEP 660: a wheel that points at the source folder."""
    _write(Path(wheel_directory) / wheel_name(), [(f"{NAME}.pth", f"{SOURCE}\n".encode())])
    return wheel_name()


def build_sdist(sdist_directory: str, config_settings: Optional[dict[str, Any]] = None) -> str:
    raise SystemExit("There is no source distribution; build the wheel.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the wheel; prints its path and SHA-256.")
    parser.add_argument("--out", default=str(HERE / "dist"), help="the folder to put it in (dist)")
    folder = Path(parser.parse_args().out)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / build_wheel(str(folder))
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
