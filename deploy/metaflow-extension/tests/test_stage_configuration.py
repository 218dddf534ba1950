"""What `/cli/config` may and may not say, and which addresses a token may be sent to."""

from __future__ import annotations

from typing import Any

import pytest
from metaflow_extensions.gateway.login.problems import SetupProblem
from metaflow_extensions.gateway.login.stage import Origin, StageConfiguration, stage_origin
from metaflow_extensions.gateway.login.version import is_older

HOST = "https://alpha.example.org"


def document(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "stage": "alpha",
        "issuer": "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1",
        "client_id": "2example",
        "authorization_endpoint": "https://alpha.auth.example.org/oauth2/authorize",
        "token_endpoint": "https://alpha.auth.example.org/oauth2/token",
        "revocation_endpoint": "https://alpha.auth.example.org/oauth2/revoke",
        "scopes": ["openid", "metaflow/write"],
        "redirect_ports": [8400, 8401, 8402],
        "manual_redirect_uri": f"{HOST}/cli/callback",
        "settings": {"METAFLOW_SERVICE_URL": f"{HOST}/api/metadata"},
        "identity_pool": {
            "id": "us-west-2:11111111-2222-3333-4444-555555555555",
            "region": "us-west-2",
            "provider_name": "cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1",
        },
        "minimum_extension_version": "1.0.0",
        "wheel": {"name": "metaflow_gateway_extension-1.0.0-py3-none-any.whl", "sha256": "ab" * 32},
    }
    whole.update(changes)
    return {name: value for name, value in whole.items() if value != "ABSENT"}


def read(value: Any) -> StageConfiguration:
    return StageConfiguration.from_json(value, stage_origin(HOST))


def test_a_whole_document_is_read() -> None:
    configuration = read(document())
    assert configuration.stage == "alpha"
    assert configuration.scopes == ("openid", "metaflow/write")
    assert configuration.identity_pool is not None and configuration.identity_pool.region == "us-west-2"
    assert configuration.wheel_url == f"{HOST}/cli/metaflow_gateway_extension-1.0.0-py3-none-any.whl"
    assert configuration.login_command == f"metaflow-gateway-login {HOST}"


def test_service_is_the_default_metadata_unless_the_stage_says_otherwise() -> None:
    assert read(document()).settings["METAFLOW_DEFAULT_METADATA"] == "service"
    settings = {"METAFLOW_SERVICE_URL": f"{HOST}/api/metadata", "METAFLOW_DEFAULT_METADATA": "local"}
    assert read(document(settings=settings)).settings["METAFLOW_DEFAULT_METADATA"] == "local"


@pytest.mark.parametrize("field", ["identity_pool", "wheel", "revocation_endpoint"])
@pytest.mark.parametrize("value", [None, "ABSENT"])
def test_what_is_optional_may_be_null_or_absent(field: str, value: Any) -> None:
    assert getattr(read(document(**{field: value})), field) is None


def test_fields_of_a_later_version_are_left_alone() -> None:
    assert read(document(announcements=[1, 2])).stage == "alpha"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, "ABSENT") for name in ("stage", "issuer", "client_id", "authorization_endpoint", "token_endpoint")),
        *((name, "ABSENT") for name in ("scopes", "redirect_ports", "manual_redirect_uri", "settings", "minimum_extension_version")),
        ("stage", 7),
        ("stage", "../alpha"),
        ("stage", "Alpha"),
        ("client_id", ""),
        ("client_id", "a\nb"),
        ("client_id", "a" * 2049),
        ("token_endpoint", "http://alpha.auth.example.org/oauth2/token"),
        ("token_endpoint", "https://user:word@alpha.auth.example.org/oauth2/token"),
        ("token_endpoint", "ftp://alpha.auth.example.org/"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "file:///etc/passwd"),
        ("revocation_endpoint", "http://alpha.auth.example.org/oauth2/revoke"),
        ("scopes", []),
        ("scopes", "openid"),
        ("scopes", ["openid profile"]),
        ("scopes", [1]),
        ("redirect_ports", []),
        ("redirect_ports", ["8400"]),
        ("redirect_ports", [0]),
        ("redirect_ports", [65536]),
        ("redirect_ports", [True]),
        ("redirect_ports", list(range(8400, 8430))),
        ("manual_redirect_uri", "https://evil.example.org/cli/callback"),
        ("settings", []),
        ("settings", {}),
        ("settings", {"METAFLOW_SERVICE_URL": "https://evil.example.org/api/metadata"}),
        ("settings", {"METAFLOW_SERVICE_URL": "http://alpha.example.org/api/metadata"}),
        ("settings", {"METAFLOW_SERVICE_URL": 1}),
        *(
            ("settings", {"METAFLOW_SERVICE_URL": f"{HOST}/api/metadata", name: "x"})
            for name in ("PATH", "metaflow_x", "METAFLOW_SERVICE_HEADERS", "METAFLOW_SERVICE_AUTH_KEY", "METAFLOW_HOME", "METAFLOW_A B")
        ),
        ("settings", {"METAFLOW_SERVICE_URL": f"{HOST}/api/metadata", "METAFLOW_X": "x" * 8193}),
        ("settings", {"METAFLOW_SERVICE_URL": f"{HOST}/api/metadata", **{f"METAFLOW_X{n}": "x" for n in range(200)}}),
        ("identity_pool", []),
        ("identity_pool", {"id": "x", "region": "us-west-2"}),
        ("wheel", {"name": "x"}),
    ],
)
def test_a_bad_document_is_refused_with_the_field_that_is_wrong(field: str, value: Any) -> None:
    with pytest.raises(SetupProblem) as caught:
        read(document(**{field: value}))
    assert field.split(".")[0] in caught.value.sentence
    assert "tell the operators" in caught.value.sentence


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_document_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(SetupProblem):
        read(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha.example.org", "https://alpha.example.org"),
        ("https://alpha.example.org", "https://alpha.example.org"),
        ("https://ALPHA.example.org/cli/", "https://alpha.example.org"),
        ("https://alpha.example.org:443", "https://alpha.example.org"),
        ("https://localhost:8443", "https://localhost:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://[::1]:9", "http://[::1]:9"),
    ],
)
def test_the_address_that_a_person_types_becomes_an_origin(text: str, expected: str) -> None:
    assert str(stage_origin(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "https://", "http://alpha.example.org", "ftp://alpha.example.org", "https://a:b@alpha.example.org", "https://al pha", "https://x:99999", "https://-x", "https://[::g]", "https://a\\b"],
)
def test_what_is_not_a_stage_address_is_refused(text: str) -> None:
    with pytest.raises(SetupProblem):
        stage_origin(text)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("https://a.example.org/api/metadata", "https://a.example.org:443/x", True),
        ("https://a.example.org", "https://b.example.org", False),
        ("https://a.example.org", "https://a.example.org:8443", False),
        ("https://a.example.org", "https://a.example.org.evil.org", False),
        ("http://localhost:80", "http://localhost", True),
        ("http://localhost", "https://localhost", False),
    ],
)
def test_origins_compare_by_scheme_host_and_port(first: str, second: str, same: bool) -> None:
    assert (Origin.of(first) == Origin.of(second)) is same


@pytest.mark.parametrize(
    ("version", "minimum", "older"),
    [
        ("1.0.0", "1.0.0", False),
        ("1.0.0", "1.0", False),
        ("1.0.0", "1.0.1", True),
        ("1.9.0", "1.10.0", True),
        ("2.0", "1.99.99", False),
        ("1.2.0rc1", "1.2.0", False),
        ("1.0.0", "", False),
        ("1.0.0", "nonsense", False),
        ("1.0.0", "9" * 500, True),
    ],
)
def test_versions_compare_by_their_numbers(version: str, minimum: str, older: bool) -> None:
    assert is_older(version, minimum) is older


