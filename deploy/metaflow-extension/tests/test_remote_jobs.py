"""Jobs that leave the laptop: what their generated descriptions hold, and that the code they carry runs without a login."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import log_in, run_python, stored_profile
from scripted_aws import BUCKET, ScriptedAWS
from scripted_stage import ScriptedStage
from test_artifacts import make_aws
from test_runs import FLOW

__all__ = ["make_aws"]

INTERNAL = "http://metadata.metaflow.svc:8080"


class ScriptedCluster(ThreadingHTTPServer):
    """A Kubernetes API that keeps what it is asked to create, and refuses it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.created: list[dict[str, Any]] = []

    def kubeconfig(self, folder: Path) -> str:
        path = folder / "kubeconfig.json"
        server = f"http://127.0.0.1:{self.server_address[1]}"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": server}}],
                    "users": [{"name": "u", "user": {}}],
                }
            )
        )
        return str(path)


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedCluster
    protocol_version = "HTTP/1.1"

    def _dispatch(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            self.server.created.append(json.loads(body))
        answer = b'{"kind": "Status", "status": "Failure", "code": 403, "message": "scripted refusal"}'
        self.send_response_only(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = _dispatch

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def cluster() -> Iterator[ScriptedCluster]:
    cluster = ScriptedCluster()
    threading.Thread(target=cluster.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield cluster
    cluster.shutdown()
    cluster.server_close()


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def check_environment(environment: dict[str, str]) -> None:
    assert environment["METAFLOW_SERVICE_URL"] == INTERNAL
    assert json.loads(environment["METAFLOW_SERVICE_HEADERS"]) == {}
    assert environment["METAFLOW_DEFAULT_METADATA"] == "service"
    assert environment["METAFLOW_DATASTORE_SYSROOT_S3"] == f"s3://{BUCKET}/metaflow"
    assert environment.get("METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER", "boto3") == "boto3"
    assert not any(name.startswith("METAFLOW_GATEWAY") for name in environment)


def check_no_secret(text: str) -> None:
    tokens = stored_profile("alpha").load_tokens()
    credentials = json.loads(Path(stored_profile("alpha").credentials_path).read_text())
    secrets = [tokens.access_token, tokens.id_token, tokens.refresh_token]
    secrets += [credentials["secret_key"], credentials["session_token"], credentials["access_key"]]
    assert not any(secret in text for secret in secrets)
    assert "Bearer" not in text and "authorization" not in text.lower()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "flow.py"
    path.write_text(FLOW)
    return path


def test_the_argo_workflow_holds_no_token_and_the_internal_address(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], cluster: ScriptedCluster, installed: Path, tmp_path: Path, flow: Path
) -> None:
    make_aws(3600)
    log_in(stage)
    done = run_python(
        [str(flow), "--quiet", "argo-workflows", "create", "--only-json"],
        installed=installed,
        cwd=tmp_path,
        environment={"KUBECONFIG": cluster.kubeconfig(tmp_path)},
    )
    text = done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1]
    workflow = json.loads(text)
    containers = {t["name"]: t["container"] for t in workflow["spec"]["templates"] if "container" in t}
    for step in ("start", "work", "join", "end"):
        check_environment(environment_of(containers[step]))
    for container in containers.values():
        assert environment_of(container)["METAFLOW_SERVICE_HEADERS"] == "{}"
        assert environment_of(container)["METAFLOW_SERVICE_URL"] == INTERNAL
    check_no_secret(done.stdout)
    assert stage.url not in text


def test_the_kubernetes_job_holds_no_token_and_the_internal_address(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], cluster: ScriptedCluster, installed: Path, tmp_path: Path, flow: Path
) -> None:
    make_aws(3600)
    log_in(stage)
    done = run_python(
        [str(flow), "run", "--with", "kubernetes"], installed=installed, cwd=tmp_path, check=False,
        environment={"KUBECONFIG": cluster.kubeconfig(tmp_path)},
    )
    assert cluster.created, done.stdout + done.stderr
    for job in cluster.created:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        check_environment(environment_of(container))
        check_no_secret(json.dumps(job))
        assert stage.url not in json.dumps(job)
    assert stage.unauthorized == []


@pytest.fixture
def code_package(
    stage: ScriptedStage, make_aws: Callable[[float], ScriptedAWS], installed: Path, tmp_path: Path, flow: Path
) -> Path:
    """The code that Metaflow sends with a job, unpacked as a job unpacks it."""
    make_aws(3600)
    log_in(stage)
    run_python([str(flow), "--quiet", "package", "save", "code.tgz"], installed=installed, cwd=tmp_path)
    folder = tmp_path / "job"
    with tarfile.open(tmp_path / "code.tgz") as archive:
        archive.extractall(folder)
    return folder


def packed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


LOOK = """
import json, metaflow, metaflow.metaflow_config as c
from metaflow.extension_support import extension_info
from metaflow.plugins import AWS_CLIENT_PROVIDERS
from metaflow.plugins.aws.aws_client import get_aws_client
client = get_aws_client("s3", client_params={"region_name": "us-west-2"})
print(json.dumps({"url": c.SERVICE_URL, "headers": c.SERVICE_HEADERS.copy(), "kind": type(c.SERVICE_HEADERS).__name__, "file": metaflow.__file__,
                  "providers": [p.__module__ for p in AWS_CLIENT_PROVIDERS], "extensions": list(extension_info()["installed"])}))
"""


def python_path(folder: Path) -> str:
    roots = {path.parent.parent for path in folder.rglob("metaflow/__init__.py")}
    return os.pathsep.join(str(root) for root in sorted(roots))


def test_the_code_package_brings_the_extension_along_and_nothing_secret(code_package: Path) -> None:
    names = packed(code_package)
    assert any(name.endswith("metaflow_extensions/gateway/login/fresh_tokens.py") for name in names)
    assert not any("metaflow_gateway_login" in name for name in names)
    tokens = stored_profile("alpha").load_tokens()
    for name in names:
        assert tokens.refresh_token.encode() not in (code_package / name).read_bytes()


def test_the_code_package_runs_in_a_job_without_a_login_and_without_the_wheel(code_package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty_home = tmp_path_factory.mktemp("job-home")
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=code_package,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(empty_home),
            "PYTHONPATH": python_path(code_package),
            "METAFLOW_SERVICE_URL": INTERNAL,
            "METAFLOW_SERVICE_HEADERS": "{}",
            "METAFLOW_KUBERNETES_WORKLOAD": "1",
            "METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER": "boto3",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["file"].startswith(str(code_package)), "the packed Metaflow must be the one that runs"
    assert (found["url"], found["headers"], found["kind"]) == (INTERNAL, {}, "dict")
    assert found["providers"] == ["metaflow_extensions.gateway.plugins.aws_client_provider"]
    assert "WARNING" not in done.stdout + done.stderr


def test_a_packed_environment_on_the_laptop_still_has_the_login(code_package: Path, stage: ScriptedStage) -> None:
    """What `@conda` and `@pypi` steps run in: packed code, no wheel, the user's home."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=code_package,
        env={**os.environ, "PYTHONPATH": python_path(code_package)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["url"] == f"{stage.url}/api/metadata" and found["kind"] == "FreshHeaders"
    claims, reason = stage.check_bearer(found["headers"]["Authorization"])
    assert claims is not None, reason


@pytest.mark.parametrize("version", ["3.8", "3.7"])
def test_an_older_python_in_a_jobs_image_can_load_the_packed_extension(code_package: Path, version: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Metaflow itself still runs there; the extension must then stand aside. Needs `python3.N` with requests and boto3."""
    python = os.environ.get(f"EXTENSION_TESTS_PYTHON_{version.replace('.', '_')}") or shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", "import requests, boto3"], capture_output=True).returncode != 0:
        pytest.skip(f"no Python {version} with requests and boto3 here (EXTENSION_TESTS_PYTHON_{version.replace('.', '_')})")
    done = subprocess.run(
        [python, "-c", LOOK],
        cwd=code_package,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path_factory.mktemp("job-home")),
            "PYTHONPATH": python_path(code_package),
            "METAFLOW_SERVICE_URL": INTERNAL,
            "METAFLOW_SERVICE_HEADERS": "{}",
            "METAFLOW_KUBERNETES_WORKLOAD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "dict"
    assert "WARNING" not in done.stdout
