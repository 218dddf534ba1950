"""The first session of README.md works as it is written there, but for the port, the folder of the build and that of Metaflow."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from laptop import guide
from stack import AUTHORITY, BINARIES, ROOT, Process, free_ports

README = (ROOT / "README.md").read_text()


def blocks(heading: str) -> list[str]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", section, re.S | re.M) if language == ""]


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
def test_the_first_session_works_as_written(tmp_path):
    starting, asking, running, refused = blocks("A first session")
    assert starting == "bash deploy/local/run.sh\n"
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")} | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    script = Process("bash", ROOT / "deploy/local/run.sh", "--port", str(port), "--binaries", BINARIES, environment=environment)

    def type_in(*commands: str) -> str:
        text = "".join(commands)
        text = text.replace("localhost:8443", f"localhost:{port}").replace(".build/release/", f"{BINARIES}/").replace("$PWD/certs/local/ca.pem", str(AUTHORITY))
        text = re.sub(r"^python3 -m venv .*$", "", text, flags=re.M).replace("/tmp/metaflow/bin/python", sys.executable).replace("curl ", "curl --silent --show-error ")
        result = subprocess.run(["bash", "-ec", f"cd {ROOT}\n{text}"], capture_output=True, text=True, timeout=120, env=environment | {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path / "store")})
        assert result.returncode == 0, result.stderr
        return result.stdout

    try:
        script.wait_for(f"ready https://localhost:{port}")
        assert type_in(asking) == "pong"
        output = type_in(asking, running)
        assert "the total is 45" in output and "Done!" in output
        entry = script.wait_for('"path":"/api/metadata/flows/FirstFlow/run"')
        for words in ('"status":200', '"client":"command-line"', '"decision":"allowed"'):
            assert words in entry
        sentences = re.findall(r"`((?:Your|This is)[^`…]*)", README)
        assert len(sentences) == 2
        curl = asking.splitlines()[-1]
        for command, sentence in zip(refused.splitlines(), sentences):
            assert sentence.removesuffix(": run ").strip() in type_in(f"{command}\n{curl}\n")
    finally:
        script.end(signal.SIGINT)


def test_the_two_lines_for_scientists_are_those_of_the_stage_s_page(stack):
    (lines,) = blocks("Two lines for scientists")
    page = guide(stack)
    of_the_stage = lines.replace("https://alpha.metaflow.simulation.amazon.dev", stack.url).splitlines()
    assert of_the_stage == [page["install"], page["login"]]


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_commands_it_names_exist():
    for program in ("deploy/local/run.sh", "Tests/run.sh", "certs/make-local.sh"):
        assert program in README and (ROOT / program).exists()
