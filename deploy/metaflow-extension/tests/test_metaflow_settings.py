"""What the extension does to Metaflow's configuration, seen from a Metaflow process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE, log_in, run_python
from scripted_stage import ScriptedStage

SHOW = """
import json, os, sys
import metaflow, metaflow.metaflow_config as c
from metaflow.metaflow_config_funcs import config_values
copied = None
try:
    copied = c.SERVICE_HEADERS.copy()
except Exception as error:
    copied = {"error": str(error)}
names = ["SERVICE_URL", "SERVICE_INTERNAL_URL", "DEFAULT_METADATA", "DEFAULT_DATASTORE", "DATASTORE_SYSROOT_S3", "DATATOOLS_S3ROOT", "CARD_S3ROOT",
         "KUBERNETES_NAMESPACE", "DEFAULT_RUNTIME_LIMIT", "CONTACT_INFO", "BATCH_EMIT_TAGS"]
print(json.dumps({**{n: getattr(c, n) for n in names}, "headers": copied, "kind": type(c.SERVICE_HEADERS).__name__,
                  "described": json.dumps(c.SERVICE_HEADERS), "profile": os.environ.get("METAFLOW_GATEWAY_PROFILE"),
                  "values": dict(config_values()), "leaked": [n for n in vars(c) if n in ("_active", "_headers", "_configuration", "annotations")]}))
"""


def shown(installed: Path, folder: Path, **environment: str) -> dict[str, Any]:
    done = run_python(["-c", SHOW], installed=installed, cwd=folder, environment=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_without_a_login_metaflow_is_as_ever(installed: Path, tmp_path: Path) -> None:
    plain = shown(installed, tmp_path)
    assert plain["SERVICE_URL"] is None and plain["DEFAULT_METADATA"] == "local"
    assert plain["kind"] == "dict" and plain["headers"] == {} and plain["profile"] is None


def test_a_login_sets_the_service_its_headers_and_the_default_metadata(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    log_in(stage)
    found = shown(installed, tmp_path)
    assert found["SERVICE_URL"] == f"{stage.url}/api/metadata"
    assert found["SERVICE_INTERNAL_URL"] == found["SERVICE_URL"]
    assert found["DEFAULT_METADATA"] == "service" and found["profile"] == "alpha"
    assert found["kind"] == "FreshHeaders" and found["headers"]["Authorization"].startswith("Bearer ")
    assert found["described"] == "{}"
    assert "METAFLOW_SERVICE_HEADERS" not in found["values"]
    assert found["leaked"] == []


def test_settings_have_their_types_and_what_follows_from_them(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    stage.config_changes = {
        "settings": {
            "METAFLOW_SERVICE_URL": f"{stage.url}/api/metadata",
            "METAFLOW_SERVICE_INTERNAL_URL": "http://metadata.metaflow.svc:8080",
            "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://artifacts/metaflow",
            "METAFLOW_KUBERNETES_NAMESPACE": "science",
            "METAFLOW_DEFAULT_RUNTIME_LIMIT": "3600",
            "METAFLOW_CONTACT_INFO": '{"Ask": "the platform team"}',
            "METAFLOW_BATCH_EMIT_TAGS": "true",
            "METAFLOW_CONDA_DEPENDENCY_RESOLVER": "mamba",
        }
    }
    log_in(stage)
    found = shown(installed, tmp_path)
    assert found["SERVICE_INTERNAL_URL"] == "http://metadata.metaflow.svc:8080"
    assert found["DATATOOLS_S3ROOT"] == "s3://artifacts/metaflow/data" and found["CARD_S3ROOT"] == "s3://artifacts/metaflow/mf.cards"
    assert found["KUBERNETES_NAMESPACE"] == "science" and found["DEFAULT_DATASTORE"] == "s3"
    assert found["DEFAULT_RUNTIME_LIMIT"] == 3600 and found["CONTACT_INFO"] == {"Ask": "the platform team"}
    assert found["BATCH_EMIT_TAGS"] is True
    # Metaflow hands settings of this kind to remote jobs from here.
    assert found["values"]["METAFLOW_CONDA_DEPENDENCY_RESOLVER"] == "mamba"


def test_every_setting_of_the_real_stages_reaches_metaflow_under_its_name(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    """`command_line_api.settings` of config/stages; Tests/Deploy sees to it that it says what this file says."""
    lines = (PACKAGE.parent / "kubernetes/overlays/alpha/metaflow.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    settings["METAFLOW_SERVICE_URL"] = f"{stage.url}/api/metadata"
    stage.config_changes = {"settings": settings}
    log_in(stage)
    names = [name[len("METAFLOW_") :] for name in settings]
    code = f"import json, metaflow.metaflow_config as c; print(json.dumps({{n: getattr(c, n, None) for n in {names!r}}}))"
    found = json.loads(run_python(["-c", code], installed=installed, cwd=tmp_path).stdout)
    assert found == {name[len("METAFLOW_") :]: value for name, value in settings.items()}


@pytest.mark.parametrize("place", ["environment", "project", "home"])
def test_what_the_user_says_goes_before_the_stage(installed: Path, tmp_path: Path, home: Path, stage: ScriptedStage, place: str) -> None:
    stage.config_changes = {"settings": {**stage.config()["settings"], "METAFLOW_KUBERNETES_NAMESPACE": "science"}}
    log_in(stage)
    environment: dict[str, str] = {}
    own = {"METAFLOW_KUBERNETES_NAMESPACE": "mine", "METAFLOW_DEFAULT_METADATA": "local"}
    if place == "environment":
        environment = own
    elif place == "project":
        (tmp_path / ".metaflow").mkdir()
        (tmp_path / ".metaflow" / "config.json").write_text(json.dumps(own))
    else:
        (home / ".metaflowconfig" / "config.json").write_text(json.dumps(own))
    found = shown(installed, tmp_path, **environment)
    assert found["KUBERNETES_NAMESPACE"] == "mine" and found["DEFAULT_METADATA"] == "local"
    assert found["SERVICE_URL"] == f"{stage.url}/api/metadata"


@pytest.mark.parametrize("url", ["https://elsewhere.example.org/api/metadata", "http://127.0.0.1:1/api/metadata", "http://metadata.internal:8080"])
@pytest.mark.parametrize("place", ["environment", "project", "home"])
def test_no_token_goes_to_a_service_that_the_user_names(installed: Path, tmp_path: Path, home: Path, stage: ScriptedStage, url: str, place: str) -> None:
    log_in(stage)
    environment: dict[str, str] = {}
    if place == "environment":
        environment = {"METAFLOW_SERVICE_URL": url}
    elif place == "project":
        (tmp_path / ".metaflow").mkdir()
        (tmp_path / ".metaflow" / "config.json").write_text(json.dumps({"METAFLOW_SERVICE_URL": url}))
    else:
        (home / ".metaflowconfig" / "config.json").write_text(json.dumps({"METAFLOW_SERVICE_URL": url}))
    found = shown(installed, tmp_path, **environment)
    assert found["SERVICE_URL"] == url and found["headers"] == {} and found["DEFAULT_METADATA"] == "local"
    # Not even when the profile is named as well.
    named = shown(installed, tmp_path, METAFLOW_GATEWAY_PROFILE="alpha", **environment)
    assert named["SERVICE_URL"] == url and named["headers"] == {}


def test_the_users_own_authorization_header_is_kept(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    log_in(stage)
    found = shown(installed, tmp_path, METAFLOW_SERVICE_HEADERS='{"authorization": "Bearer of-a-build-machine"}')
    assert found["headers"] == {"authorization": "Bearer of-a-build-machine"}


def test_other_headers_of_the_user_are_sent_beside_the_token(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    log_in(stage)
    found = shown(installed, tmp_path, METAFLOW_SERVICE_HEADERS='{"x-team": "robots"}')
    assert sorted(found["headers"]) == ["Authorization", "x-team"] and json.loads(found["described"]) == {"x-team": "robots"}


def test_profiles_choose_the_stage(installed: Path, tmp_path: Path, stage: ScriptedStage, second_stage: ScriptedStage) -> None:
    log_in(stage)
    log_in(second_stage)
    for environment, expected in (
        ({}, second_stage),
        ({"METAFLOW_PROFILE": "alpha"}, stage),
        ({"METAFLOW_PROFILE": "sandbox"}, second_stage),
        ({"METAFLOW_GATEWAY_PROFILE": "alpha"}, stage),
        ({"METAFLOW_SERVICE_URL": f"{stage.url}/api/metadata"}, stage),
    ):
        found = shown(installed, tmp_path, **environment)
        assert found["SERVICE_URL"] == f"{expected.url}/api/metadata", environment
        assert found["profile"] == expected.stage
        claims, reason = expected.check_bearer(found["headers"]["Authorization"])
        assert claims is not None, reason


@pytest.mark.parametrize("variable", ["METAFLOW_KUBERNETES_WORKLOAD", "AWS_BATCH_JOB_ID", "ARGO_WORKFLOW_TEMPLATE"])
def test_a_remote_job_uses_no_login_even_where_it_finds_one(installed: Path, tmp_path: Path, stage: ScriptedStage, variable: str) -> None:
    log_in(stage)
    found = shown(installed, tmp_path, **{variable: "1"})
    assert found["SERVICE_URL"] is None and found["headers"] == {} and found["profile"] is None


def test_off_means_off(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    log_in(stage)
    found = shown(installed, tmp_path, METAFLOW_GATEWAY_PROFILE="off")
    assert found["SERVICE_URL"] is None and found["headers"] == {} and found["kind"] == "dict"


def test_a_profile_that_does_not_exist_stops_metaflow_with_the_remedy(installed: Path, tmp_path: Path) -> None:
    done = run_python(["-c", "import metaflow"], installed=installed, cwd=tmp_path, check=False, environment={"METAFLOW_GATEWAY_PROFILE": "nobody"})
    assert done.returncode != 0
    assert "metaflow-gateway-login https://STAGE-HOST --profile nobody" in done.stderr.splitlines()[-1]


def test_a_logged_out_profile_that_is_named_says_what_to_do(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    from metaflow_gateway_login.command_line import main

    log_in(stage)
    assert main(["--logout"]) == 0
    assert shown(installed, tmp_path)["SERVICE_URL"] is None
    found = shown(installed, tmp_path, METAFLOW_PROFILE="alpha")
    assert f"run: metaflow-gateway-login {stage.url}" in found["headers"]["error"]


def test_importing_metaflow_makes_no_request(installed: Path, tmp_path: Path, stage: ScriptedStage) -> None:
    log_in(stage)
    before = len(stage.seen_paths)
    run_python(["-c", "import metaflow"], installed=installed, cwd=tmp_path)
    assert len(stage.seen_paths) == before
