"""`metaflow-gateway check`: every fault at once, each with its place, its value and its remedy (F1, F2, F7)."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from gateway import GATEWAY, ROOT, check

PROCESS = """\
listeners:
  - address: "127.0.0.1:18443"
    tls: { certificates: [{ chain: CHAIN, key: KEY }] }
health: { address: "127.0.0.1:18086" }
admin: { socket: admin.sock, metrics_address: "127.0.0.1:19090" }
access_log: { path: access.log }
state_directory: state
drain: { accept_for: 240s, finish_for: 60s }
limits:
  head_bytes: 60KiB
stages:
  - stage.yaml
"""
STAGE = """\
stage: first
host: localhost
public_url: https://localhost:18443
identity:
  cognito: { region: us-west-2, user_pool: us-west-2_Example1 }
  clients:
    - { id: command-line-id, name: command-line, token_use: [access] }
upstreams:
  main: { endpoints: ["http://127.0.0.1:9"], failures: metaflow }
routes:
  - { path: /api, upstream: main, credentials: [bearer] }
  - { path: /page, upstream: main, public: "a page" }
"""


@pytest.fixture
def folder(tmp_path, authority):
    leaf = authority.leaf("check", "localhost")
    (tmp_path / "gateway.yaml").write_text(PROCESS.replace("CHAIN", leaf["chain"]).replace("KEY", leaf["key"]))
    (tmp_path / "stage.yaml").write_text(STAGE)
    return tmp_path


def change(folder: Path, file: str, old: str, new: str) -> int:
    """Replaces a text that stands there once; gives the number of its line."""
    text = (folder / file).read_text()
    assert text.count(old) == 1, (old, text.count(old))
    (folder / file).write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def test_a_good_configuration_is_accepted_and_summed_up(folder):
    code, output = check(folder / "gateway.yaml")
    assert code == 0, output
    assert "ok, 1 stages, 2 routes" in output


# file, what is changed, into what, the setting that is named, what the message must hold
FAULTS = {
    "an unknown key": ("gateway.yaml", "head_bytes: 60KiB", "haed_bytes: 60KiB", "haed_bytes", ["Did you mean head_bytes"]),
    "a value out of range": ("gateway.yaml", "head_bytes: 60KiB", "head_bytes: 1MiB", "limits.head_bytes", ["1MiB", "1KiB…64KiB"]),
    "a size in an unknown unit": ("gateway.yaml", "head_bytes: 60KiB", "head_bytes: 60kb", "limits.head_bytes", ["60kb"]),
    "a duration in words": ("gateway.yaml", "accept_for: 240s", "accept_for: long", "drain.accept_for", ["long"]),
    "a port that is none": ("gateway.yaml", '"127.0.0.1:18443"', '"127.0.0.1:99999"', "address", ["99999"]),
    "an address twice": ("gateway.yaml", '"127.0.0.1:18086"', '"127.0.0.1:18443"', "health.address", ["listeners[0].address"]),
    "a stage file that is not there": ("gateway.yaml", "- stage.yaml", "- stages.yaml", "stages[0]", ["does not exist"]),
    "a listener without TLS": ("gateway.yaml", "    tls: {", "    tsl: {", "tsl", ["Did you mean tls"]),
    "everybody is trusted": ("gateway.yaml", "    tls: {", "    client_address: { proxy_protocol: { trusted: [0.0.0.0/0] } }\n    tls: {", "trusted", ["trusts everybody"]),
    "nobody is trusted": ("gateway.yaml", "    tls: {", "    client_address: { proxy_protocol: { trusted: [] } }\n    tls: {", "trusted", ["is empty. It takes a list of 1…1000, each an address range, 10.0.0.0/8 or 2001:db8::/32"]),
    "a word for a mapping": ("gateway.yaml", "    tls: {", "    client_address: proxy_protocol\n    tls: {", "client_address", ["Say who is trusted"]),
    "YAML that is none": ("gateway.yaml", "state_directory: state", "state_directory: [state", "", ["this is not YAML: did not find expected ',' or ']'", "began on line 7"]),
    "a key twice": ("gateway.yaml", "state_directory: state", "state_directory: state\nstate_directory: other", "state_directory", ["is written twice; the first stands on line 7. Keep one."]),
    "a route without credentials": ("stage.yaml", ", credentials: [bearer] }", " }", "routes[0]", ["asks for no credentials", "public"]),
    "a public route without a reason": ("stage.yaml", 'public: "a page"', 'public: ""', "public", ['"" is not text of at most 200 bytes']),
    "both public and protected": ("stage.yaml", 'public: "a page"', 'public: "a page", credentials: [bearer]', "public", ["Take one away"]),
    "an upstream that is not there": ("stage.yaml", "upstream: main, credentials", "upstream: mian, credentials", "routes[0].upstream", ["mian", "Did you mean main"]),
    "a shadowed route": ("stage.yaml", "path: /page,", "path: /api,", "routes[1].path", ["can never match"]),
    "a route below the login's paths": ("stage.yaml", "path: /page,", "path: /oauth2/x,", "path", ["/oauth2"]),
    "a path with two readings": ("stage.yaml", "path: /page,", 'path: "/a//b",', "path", ["/a//b is not a path in canonical form", "Write /a/b."]),
    "a stage without clients": ("stage.yaml", "  clients:\n    - { id: command-line-id, name: command-line, token_use: [access] }\n", "", "identity", ["names no client"]),
    "a client twice": ("stage.yaml", "token_use: [access] }", "token_use: [access] }\n    - { id: command-line-id, name: other }", "clients", ["earlier client"]),
    "a use of tokens that is none": ("stage.yaml", "token_use: [access]", "token_use: [acces]", "token_use", ["acces"]),
    "a pool of another region": ("stage.yaml", "us-west-2_Example1", "eu-west-1_Example1", "user_pool", ["region us-west-2"]),
    "a provider in plain http": ("stage.yaml", "user_pool: us-west-2_Example1 }", 'user_pool: us-west-2_Example1, endpoint: "http://10.0.0.1:9000" }', "endpoint", ["http://10.0.0.1:9000"]),
    "no provider": ("stage.yaml", "  cognito: { region: us-west-2, user_pool: us-west-2_Example1 }\n", "", "identity", ["names no provider"]),
    "a public address elsewhere": ("stage.yaml", "https://localhost:18443", "https://elsewhere.example", "public_url", ["localhost"]),
    "a login without a browser client": ("stage.yaml", "credentials: [bearer] }", "credentials: [login_session] }", "routes[0].credentials", ["browser_client"]),
    "a secret in the file": ("stage.yaml", "  clients:", "  browser_client: { id: a, secret: hunter2 }\n  clients:", "secret", ["file:"]),
    "a policy that widens": ("stage.yaml", "routes:\n", "policy: { groups: [science] }\nroutes:\n  - { path: /wide, upstream: main, credentials: [bearer], policy: { groups: [] } }\n", "policy", ["widens"]),
    "http beside https": ("stage.yaml", '["http://127.0.0.1:9"]', '["http://127.0.0.1:9", "https://127.0.0.1:9"]', "endpoints", ["All of an upstream's endpoints"]),
    "a route that does nothing": ("stage.yaml", "path: /page, upstream: main,", "path: /page,", "routes[1]", ["does nothing"]),
    "a method that is none": ("stage.yaml", "path: /page,", "path: /page, methods: [FETCH],", "methods", ["FETCH"]),
}


@pytest.mark.parametrize("file, old, new, setting, words", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_place_its_setting_and_its_remedy(folder, file, old, new, setting, words):
    change(folder, file, old, new)
    code, output = check(folder / "gateway.yaml")
    assert code == 1, output
    lines = [line for line in output.splitlines() if re.search(rf"{re.escape(file)}:\d+:\d+: ", line) and setting in line and "warning:" not in line]
    assert lines, output
    for word in words:
        assert any(word in line for line in lines), output
    assert "hunter2" not in output
    assert re.search(r"refused, \d+ faults?$", output.strip().splitlines()[-1])


def test_the_place_is_that_of_the_value(folder):
    line = change(folder, "gateway.yaml", "  head_bytes: 60KiB", "  head_bytes: 1MiB")
    _, output = check(folder / "gateway.yaml")
    assert f"gateway.yaml:{line}:15: limits.head_bytes:" in output


def test_all_faults_of_all_files_are_told_at_once(folder):
    change(folder, "gateway.yaml", "head_bytes: 60KiB", "head_bytes: 1MiB")
    change(folder, "gateway.yaml", "accept_for: 240s", "accept_for: long")
    change(folder, "stage.yaml", ", credentials: [bearer] }", " }")
    change(folder, "stage.yaml", 'public: "a page"', "pubilc: a page")
    code, output = check(folder / "gateway.yaml")
    assert code == 1
    for word in ("head_bytes", "accept_for", "routes[0]", "pubilc"):
        assert word in output
    assert int(re.search(r"refused, (\d+) faults", output).group(1)) >= 4


def test_faults_can_be_read_by_programs(folder):
    line = change(folder, "gateway.yaml", "head_bytes: 60KiB", "head_bytes: 1MiB")
    code, output = check(folder / "gateway.yaml", "--format", "json")
    assert code == 1
    report = json.loads(output)
    assert (report["accepted"], report["version"]) == (False, None)
    fault = report["diagnostics"][0]
    assert list(fault) == ["file", "line", "column", "severity", "setting", "value", "message"]
    assert (fault["line"], fault["setting"], fault["value"], fault["severity"]) == (line, "limits.head_bytes", "1MiB", "error")


def test_what_everybody_reaches_is_printed_with_its_reason(folder):
    _, output = check(folder / "gateway.yaml")
    assert "  first: https://localhost/page → upstream main: a page" in output.splitlines()
    assert "/api" not in output
    code, output = check(folder / "gateway.yaml", "--format", "json")
    report = json.loads(output)
    assert code == 0 and report["accepted"] and report["diagnostics"] == []
    assert [(entry["stage"], entry["path"], entry["methods"], entry["reason"]) for entry in report["public"]] == [("first", "/page", [], "a page")]


# --- Against another configuration


@pytest.fixture
def older(folder):
    """The same configuration in another place, without the certificates and secrets of its machine."""
    other = folder / "older"
    other.mkdir()
    (other / "gateway.yaml").write_text(PROCESS.replace("CHAIN", "elsewhere.pem").replace("KEY", "elsewhere.key"))
    (other / "stage.yaml").write_text(STAGE)
    return other / "gateway.yaml"


def test_nothing_changes_against_the_same_configuration(folder, older):
    code, output = check(folder / "gateway.yaml", "--against", str(older))
    # Certificates and the places of files are told; nobody gets further by them.
    assert code == 0, output
    assert "weaker" not in output and "stronger" not in output


def test_what_becomes_weaker_is_refused_with_its_place_and_the_line_that_approves_it(folder, older):
    line = change(folder, "stage.yaml", "  - { path: /page,", '  - { path: /debug, upstream: main, public: "debugging" }\n  - { path: /page,')
    code, output = check(folder / "gateway.yaml", "--against", str(older))
    assert code == 2, output
    assert "  weaker: first: /debug becomes public" in output.splitlines()
    assert f"stage.yaml:{line}:5: routes[1]: first: /debug becomes public" in output
    assert output.strip().splitlines()[-1].endswith("refused, 1 change without approval")
    # The line as it is printed, pasted into the file, is enough; and once it is live it is to go.
    approval = re.search(r"add to \S*stage\.yaml: (approve: \[.*\])", output).group(1)
    (folder / "stage.yaml").write_text((folder / "stage.yaml").read_text() + approval + "\n")
    code, output = check(folder / "gateway.yaml", "--against", str(older))
    assert code == 0, output
    assert "  weaker: first: /debug becomes public (approved)" in output.splitlines()
    assert "approves nothing" not in output
    code, output = check(folder / "gateway.yaml", "--against", str(folder / "gateway.yaml"))
    assert code == 0 and "warning: approve[0]: approves nothing" in output, output


def test_changes_can_be_read_by_programs(folder, older):
    line = change(folder, "stage.yaml", 'public: "a page"', "credentials: [bearer]")
    change(folder, "stage.yaml", "- { path: /api, upstream: main, credentials: [bearer] }", '- { path: /api, upstream: main, public: "all" }')
    code, output = check(folder / "gateway.yaml", "--against", str(older), "--format", "json")
    report = json.loads(output)
    assert code == 2 and not report["accepted"] and report["against"] == str(older)
    changes = {entry["change"]: entry for entry in report["changes"] if entry["stage"] == "first"}
    assert changes["/api becomes public"]["effect"] == "weaker" and changes["/api becomes public"]["approved"] is False
    stronger = changes["/page is no longer public: it asks for bearer"]
    assert (stronger["effect"], stronger["approved"], stronger["line"], stronger["setting"]) == ("stronger", None, line, "routes[1]")
    assert [entry["severity"] for entry in report["diagnostics"]] == ["error"]


@pytest.mark.parametrize("other", ["running", "nowhere/gateway.yaml"])
def test_something_to_compare_with_that_is_not_there_is_an_input_fault(folder, other):
    code, output = check(folder / "gateway.yaml", "--against", other if other == "running" else str(folder / other))
    assert code == 2 and "does not exist" in output


def with_issuer(authority: Authority) -> dict[str, str]:
    """A leaf whose chain has the authority's certificate too."""
    leaf = authority.leaf(f"of-{authority.path.stem}", "localhost")
    chain = Path(leaf["chain"])
    chain.write_text(chain.read_text() + authority.path.read_text())
    return leaf


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda folder, authority: authority.leaf("other", "elsewhere.localhost"), ["no certificate of this listener is for localhost", "elsewhere.localhost"]),
        (lambda folder, authority: authority.leaf("old", "localhost", days=-1), ["expired at"]),
        (lambda folder, authority: authority.leaf("new", "localhost", begins_in=1), ["is valid from", "only"]),
        (lambda folder, authority: with_issuer(Authority(folder, "ended", days=-1)), ["a certificate of this chain expired at"]),
        (lambda folder, authority: with_issuer(Authority(folder, "early", begins_in=1)), ["a certificate of this chain is valid from"]),
        (lambda folder, authority: authority.leaf("a", "localhost") | {"key": authority.leaf("b", "localhost")["key"]}, ["b-key.pem: is not the private key of the certificate in ", "a-chain.pem."]),
        (lambda folder, authority: authority.leaf("c", "localhost") | {"chain": str(folder / "missing.pem")}, ["missing.pem does not exist. Name a file that this process may read."]),
        (lambda folder, authority: authority.leaf("d", "localhost") | {"key": str(folder / "stage.yaml")}, ["stage.yaml: holds no unencrypted PEM private key."]),
    ],
    ids=["another host", "expired", "not yet valid", "an issuer that has expired", "an issuer that is not yet valid", "another key", "not there", "no key"],
)
def test_a_certificate_that_cannot_serve_is_a_fault(folder, authority, make, words):
    leaf = make(folder, authority)
    (folder / "gateway.yaml").write_text(PROCESS.replace("CHAIN", leaf["chain"]).replace("KEY", leaf["key"]))
    code, output = check(folder / "gateway.yaml")
    assert code == 1, output
    for word in words:
        assert word in output


def test_a_chain_whose_members_are_all_in_date_is_none(folder):
    leaf = with_issuer(Authority(folder, "good"))
    (folder / "gateway.yaml").write_text(PROCESS.replace("CHAIN", leaf["chain"]).replace("KEY", leaf["key"]))
    code, output = check(folder / "gateway.yaml")
    assert code == 0 and "certificate" not in output, output


def test_a_certificate_that_ends_soon_is_a_warning(folder, authority):
    leaf = authority.leaf("soon", "localhost", days=10)
    (folder / "gateway.yaml").write_text(PROCESS.replace("CHAIN", leaf["chain"]).replace("KEY", leaf["key"]))
    code, output = check(folder / "gateway.yaml")
    assert code == 0 and "warning:" in output and "expires at" in output


def test_a_file_that_cannot_be_read_is_another_exit_code(tmp_path):
    code, output = check(tmp_path / "nothing.yaml")
    assert code == 2 and "does not exist" in output


@pytest.mark.parametrize("text", ["", "[]", "just words", "\x00", "a: &a [*a]", "? {a: b}\n: c", "- " * 500, "{" * 2000, "\ufeffstages: []", "%YAML 9.9\n---\na: b"])
def test_a_file_that_is_no_configuration_is_refused_and_nothing_breaks(tmp_path, text):
    (tmp_path / "gateway.yaml").write_text(text)
    code, output = check(tmp_path / "gateway.yaml")
    assert code in (1, 2), output
    assert output.strip()


@pytest.mark.parametrize("name", ["local.yaml"])
def test_the_configurations_of_this_repository_are_accepted(tmp_path, name):
    """config/ with certificates and a wheel of its own in the places where it looks for them."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    subprocess.run(["bash", str(ROOT / "certs/make-local.sh"), "--directory", str(tmp_path / "certs/local")], check=True, capture_output=True)
    subprocess.run([sys.executable, str(ROOT / "deploy/metaflow-extension/build_wheel.py"), "--out", str(tmp_path / ".local")], check=True, capture_output=True)
    code, output = check(tmp_path / "config" / name)
    assert code == 0, output


def test_the_production_configuration_lacks_only_what_its_machine_has(tmp_path):
    """Certificates and secrets are mounted where it runs, and the wheel is in the image; everything else must be right."""
    code, output = check(ROOT / "config/gateway.yaml")
    faults = [line for line in output.splitlines() if re.search(r":\d+:\d+: (?!warning)", line)]
    assert code in (0, 1)
    assert [line for line in faults if "/etc/metaflow-gateway/" not in line and "/usr/share/metaflow-gateway/" not in line] == []


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["check", "--help"]])
def test_help_has_an_example(arguments):
    result = subprocess.run([str(GATEWAY), *arguments], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0 and "Example" in result.stdout


def test_an_unknown_command_is_refused():
    result = subprocess.run([str(GATEWAY), "severe"], capture_output=True, text=True, timeout=30)
    assert result.returncode != 0 and result.stderr
