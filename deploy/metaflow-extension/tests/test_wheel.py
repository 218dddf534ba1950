"""The wheel: the same bytes everywhere, whole, and what pip expects."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import PACKAGE
from metaflow_extensions.gateway.login.version import VERSION

NAME = f"metaflow_gateway_extension-{VERSION}-py3-none-any.whl"


def build(folder: Path, *, package: Path = PACKAGE, python: str = sys.executable, umask: int = 0o022, **environment: str) -> Path:
    before = os.umask(umask)
    try:
        done = subprocess.run(
            [python, str(package / "build_wheel.py"), "--out", str(folder)], env={**os.environ, **environment}, capture_output=True, text=True
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    digest, path = done.stdout.split()
    assert path == str(folder / NAME)
    assert digest == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Path(path)


def test_two_builds_agree_wherever_and_whenever_they_happen(tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere" / "package"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("dist", "tests", ".*_cache", "__pycache__"))
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    (copied / "source" / "metaflow_gateway_login" / "__pycache__").mkdir(exist_ok=True)
    (copied / "source" / "metaflow_gateway_login" / "__pycache__" / "x.py").write_text("left over")
    first = build(tmp_path / "a", SOURCE_DATE_EPOCH="1700000000")
    second = build(tmp_path / "b", package=copied, umask=0o077, SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_every_python_builds_the_same_bytes(tmp_path: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"no Python {version} here")
    assert build(tmp_path / "a").read_bytes() == build(tmp_path / "b", python=python).read_bytes()


@pytest.mark.parametrize("epoch", ["0", "315532800", "1700000000", "99999999999"])
def test_any_epoch_makes_a_readable_wheel(tmp_path: Path, epoch: str) -> None:
    with zipfile.ZipFile(build(tmp_path, SOURCE_DATE_EPOCH=epoch)) as archive:
        assert archive.testzip() is None


def test_the_record_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path)) as archive:
        record = f"metaflow_gateway_extension-{VERSION}.dist-info/RECORD"
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read(record).decode()))}
        assert set(rows) == set(archive.namelist())
        for name in archive.namelist():
            if name != record:
                digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
                assert rows[name] == [f"sha256={digest}", str(len(archive.read(name)))]


def test_the_wheel_holds_the_sources_and_no_test(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path)) as archive:
        names = set(archive.namelist())
        top_level = archive.read(f"metaflow_gateway_extension-{VERSION}.dist-info/top_level.txt").decode().split()
    sources = {p.relative_to(PACKAGE / "source").as_posix() for p in (PACKAGE / "source").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    assert top_level == ["metaflow_extensions", "metaflow_gateway_login"]
    # Metaflow refuses a distribution that makes its extension folder a regular package.
    assert "metaflow_extensions/__init__.py" not in names


def test_pip_builds_and_installs_it_from_the_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--wheel-dir", str(tmp_path), str(PACKAGE)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / NAME).read_bytes() == build(tmp_path / "b").read_bytes()


def test_an_editable_install_works_as_an_extension(tmp_path: Path) -> None:
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import build_wheel; build_wheel.build_editable({str(tmp_path)!r})"],
        check=True,
    )
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(tmp_path / NAME)], check=True)
    assert (target / "metaflow_gateway_extension.pth").read_text() == f"{PACKAGE / 'source'}\n"


def test_the_installed_command_says_its_version(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "metaflow-gateway-login"), "--version"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"metaflow_gateway_extension {VERSION}\n", done.stderr


def test_the_metadata_of_pip_and_of_the_project_file_agree() -> None:
    project = (PACKAGE / "pyproject.toml").read_text()
    builder = (PACKAGE / "build_wheel.py").read_text()
    for line in ('requires-python = ">=3.9"', 'dependencies = ["metaflow>=2.13"]', 'metaflow-gateway-login = "metaflow_gateway_login:main"'):
        assert line in project
    for line in ('REQUIRES_PYTHON = ">=3.9"', 'REQUIRES = ("metaflow>=2.13",)', 'SCRIPT = "metaflow-gateway-login = metaflow_gateway_login:main"'):
        assert line in builder


def test_the_command_starts_without_metaflow() -> None:
    """A login needs neither Metaflow nor its start-up time."""
    code = (
        "import sys; sys.argv = ['x', '--status']; from metaflow_gateway_login import main; main(); "
        "sys.exit(any(m == 'metaflow' or m.startswith('metaflow.') for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PACKAGE / "source")}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
