"""A stage as its `/cli/config` describes it, read strictly: what this document says decides where tokens go."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from .problems import SetupProblem, printable
from .version import VERSION, is_older

_SETTING_NAME = re.compile(r"METAFLOW_[A-Z][A-Z0-9_]{0,99}\Z")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_STAGE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_FORBIDDEN_SETTINGS = frozenset(
    {
        "METAFLOW_SERVICE_HEADERS",
        "METAFLOW_SERVICE_AUTH_KEY",
        "METAFLOW_PROFILE",
        "METAFLOW_HOME",
        "METAFLOW_USER",
    }
)
"""A public document can hold no credential, and does not say who the user is or where this machine keeps its files."""

SETTINGS_MAX = 200


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port (RFC 6454). A token leaves this machine for its own stage's origin and for no other."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Optional[Origin]:
        """The origin of a URL that a token may be sent to: https, or http on this machine only. Nothing for all else."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return None
        if parts.username is not None or parts.password is not None or any(c <= " " or c == "\\" for c in url):
            return None
        if ":" in host:
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                return None
        elif not _HOST.match(host):
            return None
        if parts.scheme == "https":
            return cls("https", host, 443 if port is None else port)
        if parts.scheme == "http" and is_loopback(host):
            return cls("http", host, 80 if port is None else port)
        return None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = 443 if self.scheme == "https" else 80
        return f"{self.scheme}://{host}" + ("" if self.port == standard else f":{self.port}")


def stage_origin(text: str) -> Origin:
    """The stage that a person typed: `alpha.example.org`, `https://alpha.example.org/`, `https://localhost:8443`."""
    candidate = text if "://" in text else f"https://{text}"
    origin = Origin.of(candidate)
    if origin is None:
        raise SetupProblem(
            f"{text!r} is not the address of a stage; write https://HOST (plain http is accepted for this machine only)."
        )
    return origin


@dataclass(frozen=True)
class IdentityPool:
    """Where an ID token is exchanged for temporary AWS credentials."""

    id: str
    region: str
    provider_name: str


@dataclass(frozen=True)
class Wheel:
    name: str
    sha256: str


@dataclass(frozen=True)
class StageConfiguration:
    origin: Origin
    stage: str
    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: Optional[str]
    scopes: tuple[str, ...]
    redirect_ports: tuple[int, ...]
    manual_redirect_uri: str
    settings: dict[str, str]
    identity_pool: Optional[IdentityPool]
    minimum_extension_version: str
    wheel: Optional[Wheel]

    @property
    def login_command(self) -> str:
        return f"metaflow-gateway-login {self.origin}"

    @property
    def wheel_url(self) -> str:
        """What `pip install` takes; the listing when the stage names no wheel."""
        return f"{self.origin}/cli/{self.wheel.name}" if self.wheel else f"{self.origin}/cli/"

    @property
    def outdated_extension(self) -> Optional[str]:
        """What to do if this extension is older than the stage's minimum; nothing if it is new enough."""
        if not is_older(VERSION, self.minimum_extension_version):
            return None
        return (
            f"This metaflow_gateway_extension is {VERSION} and {self.stage} needs {printable(self.minimum_extension_version, 40)} "
            f"or later; run: pip install --upgrade {self.wheel_url}"
        )

    @classmethod
    def from_json(cls, document: Any, origin: Origin) -> StageConfiguration:
        """Read `/cli/config` of `origin`. Fields that this version does not know are left alone."""
        reader = _Reader(document, origin)
        settings = reader.settings()
        pool = reader.optional_object("identity_pool")
        wheel = reader.optional_object("wheel")
        return cls(
            origin=origin,
            stage=reader.stage(),
            issuer=reader.text("issuer"),
            client_id=reader.text("client_id"),
            authorization_endpoint=reader.endpoint("authorization_endpoint"),
            token_endpoint=reader.endpoint("token_endpoint"),
            revocation_endpoint=(
                reader.endpoint("revocation_endpoint") if reader.has("revocation_endpoint") else None
            ),
            scopes=reader.scopes(),
            redirect_ports=reader.ports(),
            manual_redirect_uri=reader.on_this_stage("manual_redirect_uri", reader.text("manual_redirect_uri")),
            settings=settings,
            identity_pool=(
                IdentityPool(pool.text("id"), pool.text("region"), pool.text("provider_name")) if pool else None
            ),
            minimum_extension_version=reader.text("minimum_extension_version"),
            wheel=Wheel(wheel.text("name"), wheel.text("sha256")) if wheel else None,
        )


class _Reader:
    """Takes one JSON object apart and names the field that is wrong."""

    def __init__(self, document: Any, origin: Origin, place: str = "") -> None:
        self._origin = origin
        self._place = place
        if not isinstance(document, dict):
            raise self._refuse(place or "the document", "is not a JSON object")
        self._document: dict[str, Any] = document

    def _refuse(self, field: str, reason: str) -> SetupProblem:
        return SetupProblem(
            f"{self._origin}/cli/config cannot be used: {field} {reason}; tell the operators of this stage."
        )

    def has(self, field: str) -> bool:
        return self._document.get(field) is not None

    def text(self, field: str) -> str:
        value = self._document.get(field)
        if not isinstance(value, str) or not value or len(value) > 2048 or any(c < " " or c == "\x7f" for c in value):
            raise self._refuse(self._place + field, "is missing or not a text of 1 to 2048 characters")
        return value

    def stage(self) -> str:
        value = self.text("stage")
        if not _STAGE_NAME.match(value):
            raise self._refuse("stage", "is not a name of lower-case letters, digits and dashes")
        return value

    def endpoint(self, field: str) -> str:
        value = self.text(field)
        if Origin.of(value) is None:
            raise self._refuse(field, "is not an https URL")
        return value

    def on_this_stage(self, field: str, value: str) -> str:
        if Origin.of(value) != self._origin:
            raise self._refuse(field, f"is not a URL on {self._origin}")
        return value

    def scopes(self) -> tuple[str, ...]:
        value = self._document.get("scopes")
        if (
            not isinstance(value, list)
            or not 1 <= len(value) <= 50
            or not all(isinstance(s, str) and s and " " not in s for s in value)
        ):
            raise self._refuse("scopes", "is not a list of 1 to 50 words")
        return tuple(value)

    def ports(self) -> tuple[int, ...]:
        value = self._document.get("redirect_ports")
        if (
            not isinstance(value, list)
            or not 1 <= len(value) <= 20
            or not all(isinstance(p, int) and not isinstance(p, bool) and 1 <= p <= 65535 for p in value)
        ):
            raise self._refuse("redirect_ports", "is not a list of 1 to 20 port numbers")
        return tuple(value)

    def optional_object(self, field: str) -> Optional[_Reader]:
        return _Reader(self._document[field], self._origin, f"{field}.") if self.has(field) else None

    def settings(self) -> dict[str, str]:
        value = self._document.get("settings")
        if not isinstance(value, dict) or len(value) > SETTINGS_MAX:
            raise self._refuse("settings", f"is not an object of at most {SETTINGS_MAX} settings")
        settings: dict[str, str] = {}
        for name, setting in value.items():
            if not _SETTING_NAME.match(name) or name in _FORBIDDEN_SETTINGS:
                raise self._refuse(f"settings.{name}", "is not a setting that a stage may give")
            if not isinstance(setting, str) or len(setting) > 8192:
                raise self._refuse(f"settings.{name}", "is not a text of at most 8192 characters")
            settings[name] = setting
        self.on_this_stage("settings.METAFLOW_SERVICE_URL", settings.get("METAFLOW_SERVICE_URL", ""))
        settings.setdefault("METAFLOW_DEFAULT_METADATA", "service")
        return settings
