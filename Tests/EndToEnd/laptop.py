"""A scientist's machine: a Python environment of its own with the extension that the gateway gives out, and a home with its logins."""

from __future__ import annotations

import json
import os
import shlex
import site
import stat
import subprocess
import sys
import sysconfig
import threading
import time
import venv
from pathlib import Path

from stack import AUTHORITY, HERE, Process, Stack

# RFC 6761 §6.3: names below localhost are this machine. systemd's resolver and browsers know it, the C library's does not everywhere.
# And a clock that a test can set.
MACHINE = """
import socket
_getaddrinfo = socket.getaddrinfo
def getaddrinfo(host, *arguments, **names):
    return _getaddrinfo("localhost" if isinstance(host, str) and host.endswith(".localhost") else host, *arguments, **names)
socket.getaddrinfo = getaddrinfo

import os, time
_time, _ahead = time.time, float(os.environ.get("LAPTOP_CLOCK_AHEAD", "0"))
if _ahead:
    time.time = lambda: _time() + _ahead
"""


class Installation:
    """A virtual environment that has Metaflow, as the tests' own has it, and nothing of ours."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True, symlinks=True)
        self.bin = folder / "bin"
        own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
        (own / "metaflow_of_the_tests.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
        (own / "sitecustomize.py").write_text(MACHINE)

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def pip(self, line: str) -> subprocess.CompletedProcess[str]:
        """Runs a line that begins with `pip`, with this machine's authority and without an index."""
        command, *words = shlex.split(line)
        assert command == "pip", line
        return subprocess.run(
            [str(self.python), "-m", "pip", "--no-input", "--disable-pip-version-check", "--cert", str(AUTHORITY), *words, "--no-index"], capture_output=True, text=True, timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": str(self.bin.parent)},
        )

    def version(self) -> str:
        result = subprocess.run([str(self.bin / "metaflow-gateway-login"), "--version"], capture_output=True, text=True, timeout=60)
        return result.stdout.split()[-1]


class Laptop:
    """One person's home. Nothing of Metaflow's is set: the login is all that they did."""

    def __init__(self, installation: Installation, home: Path) -> None:
        self.installation, self.home = installation, home
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TMPDIR")}
        self.environment = kept | {
            "PATH": f"{installation.bin}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "USERNAME": "ada", "REQUESTS_CA_BUNDLE": str(AUTHORITY),
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home / "store"), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
            "BROWSER": f"{sys.executable} {HERE / 'person.py'} sign-in %s &",
        }

    @property
    def logins(self) -> Path:
        return self.home / ".config/metaflow-gateway"

    def start(self, *command: str | Path, **environment: str) -> Process:
        # The most generous umask there is: whatever is private all the same was made so.
        return Process("sh", "-c", 'umask 0; exec "$@"', "sh", *command, environment=self.environment | environment, folder=self.home)

    def login(self, *arguments: str, **environment: str) -> tuple[int, str]:
        return self.finish(self.start(self.installation.bin / "metaflow-gateway-login", *arguments, **environment), 120)

    def run(self, flow: str, *arguments: str, **environment: str) -> Process:
        return self.start(self.installation.python, HERE / "flows" / flow, "--quiet", "run", *arguments, **environment)

    @staticmethod
    def finish(process: Process, patience: float) -> tuple[int, str]:
        try:
            code = process.process.wait(patience)
            process.reader.join(10)
        finally:
            process.end()
        return code, process.output

    def tokens(self, profile: str) -> Path:
        return self.logins / "profiles" / profile / "tokens.json"


class Watcher:
    """Looks at every file of a login as often as it can, and keeps each name whose mode let somebody else in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.open_to_others, self.seen = folder, set(), set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.is_set():
            for path in [self.folder, *self.folder.rglob("*")]:
                try:
                    mode = stat.S_IMODE(path.lstat().st_mode)
                except OSError:
                    continue
                self.seen.add(path.name)
                if mode & 0o077:
                    self.open_to_others.add((str(path), oct(mode)))
            time.sleep(0.002)

    def end(self) -> set[tuple[str, str]]:
        self._done.set()
        self._thread.join(10)
        return self.open_to_others


def guide(stack: Stack) -> dict:
    """What `/cli/` tells a program."""
    status, text = stack.ask("/cli/")
    assert status == 200, text
    return json.loads(text)
