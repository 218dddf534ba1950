"""Scripts, the image's steps, the unit and the compose file: linted, and run where they can be."""

import base64
import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import yaml

from kustomize import overlay
from templates import ROOT, STAGES, first_revocation_file, with_wheel

DEPLOY = ROOT / "deploy"
CONTAINER = DEPLOY / "container"
OURS = ("container", "kubernetes", "cloudformation", "systemd")
SCRIPTS = sorted([DEPLOY / "stacks.sh", ROOT / "Tests/Deploy/run.sh", *(path for folder in OURS for path in (DEPLOY / folder).rglob("*.sh"))])
GATEWAY = os.environ.get("METAFLOW_GATEWAY")
needs_gateway = pytest.mark.skipif(not GATEWAY, reason="METAFLOW_GATEWAY names no built gateway: it was NOT tried in the image's folder")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_has_nothing_to_say(script):
    done = subprocess.run(["shellcheck", "--external-sources", "--severity=style", "--exclude=SC2012", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^set -eu", script.read_text(), re.M) or script.name == "password-unchanged.sh", "an error must end it"


def test_hadolint_has_nothing_to_say():
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), CONTAINER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr


def test_the_image_does_nothing_that_its_script_does_not():
    lines = re.findall(r"^RUN (.+)$", (CONTAINER / "Dockerfile").read_text(), re.M)
    assert lines and all(re.fullmatch(r"/image\.sh [a-z-]+( /\w+| [\w-]+)*( && rm /image\.sh)?", line) for line in lines), lines


def test_the_build_context_has_what_the_image_copies():
    allowed = {line[1:] for line in (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--)(.+)$", (CONTAINER / "Dockerfile").read_text(), re.M) for word in line.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / each).exists() for each in copied)


def test_the_script_knows_every_library_that_the_package_names():
    package = (ROOT / "Package.swift").read_text()
    named = set(re.findall(r'\.apt\(\["([\w.+-]+)"\]\)', package))
    assert named and named <= set((CONTAINER / "image.sh").read_text().replace("\\\n", " ").split())


# ---- health.sh against a real socket ------------------------------------------------------------------------------------------------


def serve_once(answer):
    """A port that takes one connection and gives this answer; None says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listener.accept()
        with connection:
            request = b""
            while not request.endswith(b"\r\n\r\n") and (more := connection.recv(4096)):
                request += more
            if answer is None:
                connection.settimeout(10)
                try:
                    connection.recv(1)
                except OSError:
                    pass
            else:
                connection.sendall(answer)
        listener.close()

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


@pytest.mark.parametrize("answer, well", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True), (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False), (b"HTTP/1.1 2000 OK\r\n\r\n", False), (b"", False), (None, False),
])
def test_the_health_check_takes_200_and_nothing_else(answer, well):
    def check():
        return subprocess.run(["bash", CONTAINER / "health.sh", str(serve_once(answer))], capture_output=True, timeout=20).returncode == 0
    began = time.monotonic()
    # The check waits 2 s, for which a busy machine may hold our server up; not twice.
    assert (check() or well and check()) == well
    assert time.monotonic() - began < 15


def test_the_health_check_fails_where_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert subprocess.run(["bash", CONTAINER / "health.sh", str(port)], capture_output=True).returncode != 0


# ---- The scripts inside the cluster --------------------------------------------------------------------------------------------------


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout


def exported(folder, other_key=False):
    """As ACM exports: leaf, issuer, and the key under a passphrase."""
    (folder / "passphrase").write_text("correct horse")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=issuer", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=alpha.example", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr")
    openssl("x509", "-req", "-in", folder / "leaf.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-days", "2", "-out", folder / "leaf.pem")
    key = folder / ("ca.key" if other_key else "leaf.key")
    encrypted = openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", key, "-passout", f"file:{folder / 'passphrase'}").decode()
    (folder / "exported.pem").write_text((folder / "leaf.pem").read_text() + (folder / "ca.pem").read_text() + encrypted)


DECRYPT = DEPLOY / "kubernetes/components/tls-pass-through/decrypt.sh"


def test_an_exported_certificate_becomes_a_secret_that_the_gateway_reads(tmp_path):
    exported(tmp_path)
    done = subprocess.run(["sh", DECRYPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    secret = yaml.safe_load((tmp_path / "secret.yaml").read_text())
    assert (secret["metadata"], secret["type"]) == ({"name": "gateway-certificate", "namespace": "metaflow-gateway"}, "kubernetes.io/tls")
    chain, key = (base64.b64decode(secret["data"][name]).decode() for name in ("tls.crt", "tls.key"))
    assert chain.count("BEGIN CERTIFICATE") == 2 and "BEGIN PRIVATE KEY" in key
    assert openssl("x509", "-noout", "-pubkey", input=chain.encode()) == openssl("pkey", "-pubout", input=key.encode())
    assert "alpha.example" in done.stdout and "PRIVATE" not in done.stdout + done.stderr
    assert (tmp_path / "secret.yaml").stat().st_mode & 0o077 == 0
    assert not {"passphrase", "exported.pem", "tls.key", "encrypted.key"} & {each.name for each in tmp_path.iterdir()}, "keys lie about"


def test_a_key_that_is_not_the_certificate_s_changes_nothing(tmp_path):
    exported(tmp_path, other_key=True)
    done = subprocess.run(["sh", DECRYPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "not the certificate's" in done.stderr and not (tmp_path / "secret.yaml").exists()


def test_a_wrong_passphrase_changes_nothing(tmp_path):
    exported(tmp_path)
    (tmp_path / "passphrase").write_text("battery staple")
    done = subprocess.run(["sh", DECRYPT, tmp_path], capture_output=True, text=True)
    assert done.returncode != 0 and not (tmp_path / "secret.yaml").exists()


def test_behind_a_load_balancer_that_ends_tls_the_gateway_gets_a_certificate_of_its_own(tmp_path):
    done = subprocess.run(["sh", DEPLOY / "kubernetes/components/tls-at-load-balancer/make.sh", tmp_path], capture_output=True, text=True, env=os.environ | {"STAGE_HOST": "alpha.example"})
    assert done.returncode == 0, done.stderr
    secret = yaml.safe_load((tmp_path / "secret.yaml").read_text())
    chain = base64.b64decode(secret["data"]["tls.crt"])
    names = openssl("x509", "-noout", "-ext", "subjectAltName", input=chain).decode()
    assert "DNS:alpha.example" in names and "DNS:*.alpha.example" in names
    assert openssl("x509", "-noout", "-pubkey", input=chain) == openssl("pkey", "-pubout", input=base64.b64decode(secret["data"]["tls.key"]))


def test_a_rotated_database_password_is_noticed(tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "username").write_text("metaflow")
    (secrets / "password").write_text("it's $(old) \"one\"")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("with-database.sh", "password-unchanged.sh"):
        text = (DEPLOY / "kubernetes/base/metaflow" / name).read_text()
        (scripts / name).write_text(text.replace("/secrets/database", str(secrets)).replace("/tmp/password-in-use", str(tmp_path / "password-in-use")))
    done = subprocess.run(["sh", scripts / "with-database.sh", sys.executable, "-c", "import os; print(os.environ['MF_METADATA_DB_USER'], os.environ['MF_METADATA_DB_PSWD'])"], capture_output=True, text=True)
    assert done.stdout == "metaflow it's $(old) \"one\"\n"
    alive = functools.partial(subprocess.call, ["sh", scripts / "password-unchanged.sh"])
    assert alive() == 0
    (secrets / "password").write_text("new")
    assert alive() != 0


# ---- The image's steps in a clean Debian folder ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Debian 12 with nothing but its base: where the image's steps meet only what they install themselves."""
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root: the image's steps were NOT run")
    folder = tmp_path_factory.mktemp("debian")
    done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", folder, "http://deb.debian.org/debian"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    # The folder is the root that the gateway's user will see.
    folder.chmod(0o755)
    for name in ("image.sh", "health.sh"):
        shutil.copy(CONTAINER / name, folder / name)
    return folder


def entering(folder, user=None, mounts=(), read_only=False):
    """The words before a command that runs it in the folder, with /proc as in every container (a Swift program reads its arguments
    there). The mounts live in a name space of their own and end with the command, so that nothing of this machine is ever left
    inside a folder that somebody deletes. Read-only means all but the gateway's two folders, as the Deployment has it."""
    script = 'root=$1; shift; while [ "$1" != -- ]; do mkdir -p "$root$1" && mount --bind "$1" "$root$1"; shift; done; shift; exec chroot "$@"'
    if read_only:
        own = "; ".join(f'mount --bind "$1{each}" "$1{each}"' for each in ("/var/lib/metaflow-gateway", "/run/metaflow-gateway"))
        script = f'mount --bind "$1" "$1"; {own}; mount -o remount,bind,ro "$1"; {script}'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh", str(folder), "/proc", *map(str, mounts), "--",
            *([f"--userspec={user}"] if user else []), str(folder)]


def inside(folder, *command, user=None, mounts=(), read_only=False, environment=None, **more):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"} | (environment or {})
    return subprocess.run([*entering(folder, user, mounts, read_only), *command], capture_output=True, text=True, env=environment, **more)


@pytest.fixture(scope="module")
def installed(clean):
    done = inside(clean, "/image.sh", "dependencies-for-run")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return clean


def test_the_run_step_works_on_a_clean_debian(installed):
    for folder in ("var/lib/metaflow-gateway", "run/metaflow-gateway"):
        status = (installed / folder).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65532, 65532, 0o700)
    assert "gateway:x:65532:65532" in (installed / "etc/passwd").read_text()
    assert not list((installed / "var/lib/apt/lists").glob("*_Packages*")), "package lists would swell the image"
    assert (installed / "etc/ssl/certs/ca-certificates.crt").exists() and (installed / "usr/bin/openssl").exists()


def test_the_image_has_no_setuid_program_that_debian_s_base_did_not_bring(installed):
    found = {str(path.relative_to(installed)) for path in (installed / "usr").rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000}
    base = {"bin/su", "chage", "chfn", "chsh", "expiry", "gpasswd", "mount", "newgrp", "passwd", "su", "umount", "unix_chkpwd"}
    assert {Path(each).name for each in found} <= base, found


@needs_gateway
def test_the_program_finds_every_library_that_the_run_step_installed(installed):
    """A development build takes Swift's own libraries from the toolchain; the image's build links them in. Only those are lent."""
    shutil.copy(GATEWAY, installed / "usr/bin/metaflow-gateway")
    lent = installed / "opt/swift-libraries"
    lent.mkdir(parents=True, exist_ok=True)
    for path in re.findall(r"=> (/\S+)", subprocess.run(["ldd", GATEWAY], capture_output=True, text=True).stdout):
        if "/swift/" in path:
            shutil.copy(path, lent / Path(path).name)
    environment = {"LD_LIBRARY_PATH": "/opt/swift-libraries"}
    linked = inside(installed, "ldd", "/usr/bin/metaflow-gateway", environment=environment)
    assert "not found" not in linked.stdout, [line for line in linked.stdout.splitlines() if "not found" in line]
    done = inside(installed, "/usr/bin/metaflow-gateway", "serve", "--help", user="65532:65532", environment=environment)
    assert done.returncode == 0 and "USAGE: metaflow-gateway serve" in done.stdout, done.stdout + done.stderr


def test_the_wheel_step_packs_the_file_that_the_configurations_name(installed):
    done = inside(installed, "/image.sh", "dependencies-for-wheel", environment={"DEBIAN_FRONTEND": "noninteractive"})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    extension = installed / "extension"
    for name in ("build_wheel.py", "source"):
        source = ROOT / "deploy" / "metaflow-extension" / name
        if source.is_dir():
            shutil.copytree(source, extension / name, dirs_exist_ok=True)
        else:
            extension.mkdir(exist_ok=True)
            shutil.copy(source, extension / name)
    done = inside(installed, "/image.sh", "wheel", "/extension", "/")
    assert done.returncode == 0, done.stderr
    wheel, = (installed / "usr/share/metaflow-gateway").iterdir()
    assert wheel.stat().st_mode & 0o777 == 0o644 and zipfile.is_zipfile(wheel)
    # The same bytes as on this machine: /cli/config names the file's SHA-256.
    here = subprocess.run([sys.executable, extension / "build_wheel.py", "--out", installed / "tmp/wheel"], check=True, capture_output=True, text=True).stdout
    assert here.split()[0] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    named = set(re.findall(r"wheel: *([^\s}]+)", "".join(path.read_text() for path in [*(ROOT / "config/stages").glob("*.yaml"), DEPLOY / "local/compose.yaml"])))
    assert named == {f"/usr/share/metaflow-gateway/{wheel.name}"}, "what the image has and what the configurations name"


def serves_in_the_image(installed, objects, stage, program, environment):
    """Starts the program in the folder as the image's user, with the stage's own files, and asks it as the image's health check does."""
    etc = installed / "etc/metaflow-gateway"
    shutil.rmtree(etc)
    (etc / "tls").mkdir(parents=True)
    host = f"{stage}.metaflow.simulation.amazon.dev"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", etc / "tls/tls.key", "-out", etc / "tls/tls.crt",
            "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},DNS:*.{host}")
    # All are held until the last is found, so that each is another.
    with contextlib.ExitStack() as held:
        free = {port: held.enter_context(socket.socket()) for port in (8443, 8080, 8086, 9090)}
        for each in free.values():
            each.bind(("127.0.0.1", 0))
        ports = {port: each.getsockname()[1] for port, each in free.items()}
    for name, text in objects.one("ConfigMap", "gateway-configuration")["data"].items():
        if name == "gateway.yaml":
            text = re.sub(r'"\[::\]:(\d+)"', lambda found: f'"127.0.0.1:{ports[int(found.group(1))]}"', text)
        (etc / name).write_text(text)
    (etc / f"{stage}-client-secret").write_text("secret")
    (etc / "revocation").mkdir()
    (etc / "revocation/revocation.json").write_text(first_revocation_file())
    ring = inside(installed, program, "keys", "rotate", "--output", "-", environment=environment)
    assert ring.returncode == 0, ring.stderr
    (etc / "login-keys.json").write_text(ring.stdout)
    for path in [etc, *etc.rglob("*")]:
        os.chown(path, 0, 65532)
        path.chmod(0o750 if path.is_dir() else 0o640)
    process = subprocess.Popen([*entering(installed, "65532:65532", read_only=True), program, "serve", "--config", "/etc/metaflow-gateway/gateway.yaml"],
                               env={"PATH": "/usr/sbin:/usr/bin:/bin"} | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 60
        while inside(installed, "/health.sh", str(ports[8086]), user="65532:65532").returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"not alive: {process.communicate()[0][-3000:]}")
            time.sleep(0.1)
    finally:
        if process.poll() is None:
            process.send_signal(2)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    assert process.returncode in (0, -2, 130)


def test_the_image_s_folder_can_be_read_only_but_for_the_gateway_s_own(installed):
    def touch(path):
        return inside(installed, "touch", path, read_only=True, user="65532:65532").returncode == 0
    assert touch("/var/lib/metaflow-gateway/here") and touch("/run/metaflow-gateway/here")
    assert inside(installed, "touch", "/tmp/not-here", read_only=True).returncode != 0, "not even root, nor in /tmp"


@needs_gateway
def test_the_gateway_starts_in_the_image_as_its_user_and_is_well(installed, alpha):
    shutil.copy(GATEWAY, installed / "usr/bin/metaflow-gateway")
    serves_in_the_image(installed, alpha, "alpha", "/usr/bin/metaflow-gateway", {"LD_LIBRARY_PATH": "/opt/swift-libraries"})


@pytest.mark.skipif(os.environ.get("DEPLOY_FULL") != "1", reason="DEPLOY_FULL is not 1: the image's build step was NOT run in a clean folder (many minutes)")
def test_the_build_step_compiles_the_gateway_on_a_clean_debian(installed):
    toolchain = Path(shutil.which("swift")).resolve().parents[2]
    # What the image swift:6.3-bookworm brings beside the toolchain itself.
    brought = ["binutils", "libncurses6", "libxml2", "libedit2", "libgcc-12-dev", "libsqlite3-0", "libcurl4", "tzdata"]
    for command in (["/image.sh", "dependencies-for-build"], ["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *brought]):
        done = inside(installed, *command, environment={"DEBIAN_FRONTEND": "noninteractive"})
        assert done.returncode == 0, done.stderr[-2000:]
    source = installed / "source"
    source.mkdir()
    for name in ("Package.swift", "Sources", "Tests"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(".venv", ".build", "__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    # Wherever git finds this machine's Swift packages, it finds them inside too.
    settings = re.findall(r"^url\.(.+)\.insteadof=(.+)$", subprocess.run(["git", "config", "--list"], capture_output=True, text=True).stdout, re.M)
    (installed / "root/.gitconfig").write_text("".join(f'[url "{new}"]\n\tinsteadOf = {old}\n' for new, old in settings) + "[safe]\n\tdirectory = *\n")
    mounts = [toolchain, Path("/dev"), *{Path(new) for new, _ in settings if new.startswith("/")}]
    began = time.monotonic()
    done = inside(installed, "/image.sh", "build", "/source", "/out", "metaflow-gateway", mounts=mounts,
                  environment={"PATH": f"{toolchain}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    program = installed / "out/usr/bin/metaflow-gateway"
    print(f"built in {(time.monotonic() - began) / 60:.1f} minutes, {program.stat().st_size / 1e6:.1f} MB")
    linked = inside(installed, "ldd", "/out/usr/bin/metaflow-gateway").stdout
    assert "libssl.so.3" in linked and "libswift" not in linked and "not found" not in linked, f"Swift goes in, OpenSSL stays out: {linked}"
    # As the image has it: the finished program where it belongs, the toolchain nowhere.
    shutil.copy(program, installed / "usr/bin/metaflow-gateway")
    for stage in STAGES:
        serves_in_the_image(installed, overlay(stage), stage, "/usr/bin/metaflow-gateway", {})


# ---- systemd, compose ---------------------------------------------------------------------------------------------------------------------


UNIT = DEPLOY / "systemd" / "metaflow-gateway.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing: the unit was NOT verified")
def test_the_unit_is_one_that_systemd_reads_and_calls_safe(tmp_path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/usr/bin/metaflow-gateway", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", here], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1500:]


@pytest.fixture
def compose():
    return yaml.safe_load((DEPLOY / "local" / "compose.yaml").read_text())


def test_compose_runs_the_very_images_of_the_cluster(compose):
    tags = {}
    for stage in STAGES:
        for each in yaml.safe_load((DEPLOY / "kubernetes/overlays" / stage / "kustomization.yaml").read_text())["images"]:
            tags.setdefault(each["name"], set()).add(each["newTag"])
    assert all(len(each) == 1 for each in tags.values()), "the stages run one version"
    for name in ("metadata", "ui", "ui-static"):
        image, tag = compose["services"][name]["image"].rsplit(":", 1)
        assert tags[image] == {tag}


def test_compose_opens_ports_on_loopback_alone(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_compose_waits_for_what_it_needs(compose):
    for service in compose["services"].values():
        for name, condition in service.get("depends_on", {}).items():
            assert (condition["condition"] == "service_healthy") == ("healthcheck" in compose["services"][name])
    mounted = {each["source"] for each in compose["services"]["gateway"]["configs"]}
    assert mounted == set(compose["configs"])


def test_compose_sends_the_gateway_where_the_services_listen(compose):
    stage = yaml.safe_load(compose["configs"]["stage"]["content"])
    published = {port.rsplit(":", 1)[0] for service in compose["services"].values() for port in service.get("ports", [])}
    for upstream in stage["upstreams"].values():
        for endpoint in upstream["endpoints"]:
            assert endpoint.removeprefix("http://") in published


def test_compose_knows_the_development_secret_of_the_local_platform(compose):
    assert compose["configs"]["browser-client-secret"]["content"] == (ROOT / "config/local/local-development-secret").read_text().strip()
    identity = yaml.safe_load(compose["configs"]["stage"]["content"])["identity"]
    assert identity == yaml.safe_load((ROOT / "config/local/local.yaml").read_text())["identity"] | {"browser_client": identity["browser_client"]}


@needs_gateway
def test_the_gateway_accepts_compose_s_configuration(compose, tmp_path):
    (tmp_path / "tls").mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", tmp_path / "tls/key.pem", "-out", tmp_path / "tls/chain.pem",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    for each in compose["services"]["gateway"]["configs"]:
        (tmp_path / Path(each["target"]).name).write_text(with_wheel(compose["configs"][each["source"]]["content"], tmp_path))
    done = subprocess.run([GATEWAY, "check", "--config", tmp_path / "gateway.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
