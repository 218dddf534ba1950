"""certs/make-local.sh: an authority that can vouch for this machine only, and a leaf that lasts."""

import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest
from stack import AUTHORITY, ROOT

SCRIPT = ROOT / "certs/make-local.sh"


def make(folder: Path, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", str(SCRIPT), "--directory", str(folder), *more], capture_output=True, text=True, timeout=60)


def text(file: Path) -> str:
    return subprocess.run(["openssl", "x509", "-in", str(file), "-noout", "-text"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def made(tmp_path):
    result = make(tmp_path / "c")
    assert result.returncode == 0, result.stderr
    return tmp_path / "c"


def test_there_are_three_files_and_only_the_owner_reads_the_key(made):
    assert sorted(file.name for file in made.iterdir()) == ["ca.pem", "chain.pem", "key.pem"]
    assert made.joinpath("key.pem").stat().st_mode & 0o777 == 0o600


def test_the_leaf_names_the_local_hosts_and_addresses(made):
    leaf = text(made / "chain.pem")
    for name in ("DNS:localhost", "DNS:second.localhost", "DNS:*.localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"):
        assert name in leaf


@pytest.mark.parametrize("host", ["localhost", "second.localhost", "127.0.0.1"])
def test_the_leaf_is_verified_by_the_authority(made, host):
    kind = "-verify_ip" if host[0].isdigit() else "-verify_hostname"
    subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(made / "ca.pem"), kind, host, str(made / "chain.pem")], check=True, capture_output=True)


def test_neither_lasts_longer_than_825_days(made):
    for file in ("ca.pem", "chain.pem"):
        within = subprocess.run(["openssl", "x509", "-in", str(made / file), "-noout", "-checkend", str(826 * 86_400)], capture_output=True)
        assert within.returncode == 1


def test_the_authority_may_vouch_for_nothing_else_and_its_key_is_gone(made):
    authority = text(made / "ca.pem")
    assert "CA:TRUE, pathlen:0" in authority and "Name Constraints: critical" in authority and "DNS:localhost" in authority
    assert not [file for file in made.rglob("*") if "ca" in file.name and "key" in file.name]


def test_a_second_run_keeps_what_is_good(made):
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    assert "good until" in make(made).stdout
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before


def test_a_client_as_strict_as_python_3_13_takes_it(stack):
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with urllib.request.urlopen(stack.url + "/cli/", timeout=30, context=context) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("spoil", ["soon", "key", "missing", "forced", "name", "lax"])
def test_what_is_not_good_is_made_anew(made, spoil):
    before = (made / "chain.pem").read_bytes()
    more = []
    if spoil == "soon":
        assert make(made, "--force", "--days", "29").returncode == 0
        before = (made / "chain.pem").read_bytes()
    elif spoil == "key":
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(made / "key.pem")], check=True, capture_output=True)
    elif spoil == "missing":
        (made / "ca.pem").unlink()
    elif spoil == "forced":
        more = ["--force"]
    elif spoil == "lax":
        # As openssl makes one by default: nothing says what its key is for.
        subprocess.run(
            ["bash", "-ec", "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=lax -keyout ca.key -out ca.pem; openssl req -new -key key.pem -subj /CN=localhost |"
             " openssl x509 -req -CA ca.pem -CAkey ca.key -days 90 -set_serial 7 -extfile <(echo subjectAltName=DNS:localhost,DNS:second.localhost,DNS:*.localhost,DNS:alpha.localhost,"
             "DNS:sandbox.localhost,DNS:prod.localhost) -out chain.pem; rm ca.key"], check=True, capture_output=True, cwd=made)
        subprocess.run(["openssl", "verify", "-CAfile", str(made / "ca.pem"), str(made / "chain.pem")], check=True, capture_output=True)
        before = (made / "chain.pem").read_bytes()
    else:
        more = ["--name", "another.localhost"]
    assert "made for" in make(made, *more).stdout
    assert (made / "chain.pem").read_bytes() != before
    assert "good until" in make(made).stdout


@pytest.mark.parametrize("arguments", [["--name", "example.com"], ["--name", "a b.localhost"], ["--name", "localhost.example.com"], ["--days", "826"], ["--days", "0"], ["--unknown"]])
def test_a_wrong_option_is_one_clear_line_and_makes_nothing(tmp_path, arguments):
    result = make(tmp_path / "c", *arguments)
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert not (tmp_path / "c").exists()
