"""Which login a process uses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Optional

import pytest
from metaflow_extensions.gateway.login.problems import LoginProblem, LoginRequired, SetupProblem
from metaflow_extensions.gateway.login.profile import ProfileStore, configuration_folder, user_service_url
from metaflow_extensions.gateway.login.stage import stage_origin
from test_stage_configuration import document

ALPHA = "https://alpha.example.org"
SANDBOX = "https://sandbox.example.org"


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    """alpha (current), sandbox, and two profiles of one more stage."""
    store = ProfileStore(str(tmp_path / "store"))
    for name, url in (("alpha", ALPHA), ("sandbox", SANDBOX), ("twin-a", "https://twin.example.org"), ("twin-b", "https://twin.example.org")):
        whole = json.loads(json.dumps(document(stage=name)).replace(ALPHA, url))
        store.save(name, stage_origin(url), whole, 0.0)
    store.set_current("alpha")
    return store


@pytest.mark.parametrize(
    ("environment", "service_url", "expected"),
    [
        ({}, None, "alpha"),
        ({"METAFLOW_GATEWAY_PROFILE": "sandbox"}, None, "sandbox"),
        ({"METAFLOW_GATEWAY_PROFILE": "off"}, None, None),
        ({"METAFLOW_GATEWAY_PROFILE": "off"}, f"{ALPHA}/api/metadata", None),
        ({"METAFLOW_GATEWAY_PROFILE": "sandbox", "METAFLOW_PROFILE": "alpha"}, None, "sandbox"),
        ({"METAFLOW_PROFILE": "sandbox"}, None, "sandbox"),
        ({"METAFLOW_PROFILE": "laptop"}, None, None),
        ({"METAFLOW_PROFILE": "../alpha"}, None, None),
        ({"METAFLOW_PROFILE": "off"}, None, None),
        ({}, f"{ALPHA}/api/metadata", "alpha"),
        ({}, f"{SANDBOX}/api/metadata", "sandbox"),
        ({}, "https://twin.example.org/api/metadata", None),
        ({"METAFLOW_GATEWAY_PROFILE": "twin-b"}, "https://twin.example.org/api/metadata", "twin-b"),
        ({}, "https://elsewhere.example.org/", None),
        ({}, "http://metadata.internal:8080", None),
        ({}, "", None),
        ({"METAFLOW_PROFILE": "laptop"}, f"{SANDBOX}/api/metadata", "sandbox"),
    ],
)
def test_the_profile_is_chosen(store: ProfileStore, environment: dict[str, str], service_url: Optional[str], expected: Optional[str]) -> None:
    chosen = store.choose(environment, service_url)
    assert (chosen.name if chosen else None) == expected


@pytest.mark.parametrize(("name", "kind"), [("missing", LoginRequired), ("../alpha", SetupProblem), ("A", SetupProblem)])
def test_a_named_profile_that_cannot_be_is_not_passed_over(store: ProfileStore, name: str, kind: type[LoginProblem]) -> None:
    with pytest.raises(kind) as caught:
        store.choose({"METAFLOW_GATEWAY_PROFILE": name}, None)
    assert name in str(caught.value)


def test_without_any_login_nothing_is_chosen(tmp_path: Path) -> None:
    assert ProfileStore(str(tmp_path / "none")).choose({}, None) is None
    assert ProfileStore(str(tmp_path / "none")).names() == []


@pytest.mark.parametrize("content", ['{"profile": "../../etc"}', '{"profile": 3}', "{}"])
def test_a_current_profile_that_is_no_name_is_none(store: ProfileStore, content: str) -> None:
    Path(store.folder, "current.json").write_text(content)
    assert store.current_name() is None


@pytest.mark.parametrize("content", ["{}", '{"url": "http://evil", "configuration": {}, "fetched_at": 0}', '{"url": "https://a", "configuration": 3, "fetched_at": 0}'])
def test_a_damaged_profile_is_one_sentence(store: ProfileStore, content: str) -> None:
    Path(store.folder, "profiles", "alpha", "stage.json").write_text(content)
    with pytest.raises(SetupProblem):
        store.load("alpha")


def test_a_bad_configuration_is_never_stored(store: ProfileStore) -> None:
    with pytest.raises(SetupProblem):
        store.save("new", stage_origin(ALPHA), document(scopes=[]), 0.0)
    assert "new" not in store.names()


def test_everything_in_the_folder_is_private(store: ProfileStore) -> None:
    for folder, _, files in os.walk(store.folder):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        for file in files:
            assert os.stat(os.path.join(folder, file)).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "~/.config/metaflow-gateway"),
        ({"XDG_CONFIG_HOME": "/x"}, "/x/metaflow-gateway"),
        ({"XDG_CONFIG_HOME": "relative"}, "~/.config/metaflow-gateway"),
        ({"XDG_CONFIG_HOME": ""}, "~/.config/metaflow-gateway"),
        ({"METAFLOW_GATEWAY_HOME": "/y", "XDG_CONFIG_HOME": "/x"}, "/y"),
        ({"METAFLOW_GATEWAY_HOME": "~/z"}, "~/z"),
    ],
)
def test_the_configuration_folder_is_the_users(environment: dict[str, str], expected: str) -> None:
    assert configuration_folder(environment) == os.path.expanduser(expected)


def test_the_users_service_url_is_found_where_metaflow_looks(home: Path, tmp_path: Path) -> None:
    deep = tmp_path / "project" / "deep"
    deep.mkdir(parents=True)
    assert user_service_url({}, str(deep)) is None
    metaflow_home = home / ".metaflowconfig"
    metaflow_home.mkdir()
    (metaflow_home / "config.json").write_text('{"METAFLOW_SERVICE_URL": "home"}')
    (metaflow_home / "config_x.json").write_text('{"METAFLOW_SERVICE_URL": "home-x"}')
    assert user_service_url({}, str(deep)) == "home"
    assert user_service_url({"METAFLOW_PROFILE": "x"}, str(deep)) == "home-x"
    assert user_service_url({"METAFLOW_HOME": str(tmp_path)}, str(deep)) is None
    (tmp_path / "project" / ".metaflow").mkdir()
    assert user_service_url({}, str(deep)) == "home"
    (tmp_path / "project" / ".metaflow" / "config.json").write_text('{"METAFLOW_SERVICE_URL": "project"}')
    assert user_service_url({}, str(deep)) == "project"
    assert user_service_url({"METAFLOW_SERVICE_URL": "environment"}, str(deep)) == "environment"


@pytest.mark.parametrize("content", ["", "[]", "3", "{", '{"METAFLOW_SERVICE_URL": 3}'])
def test_a_damaged_metaflow_configuration_is_left_to_metaflow(home: Path, tmp_path: Path, content: str) -> None:
    (home / ".metaflowconfig").mkdir()
    (home / ".metaflowconfig" / "config.json").write_text(content)
    assert user_service_url({}, str(tmp_path)) is None
