"""Profiles: each is one login to one stage, with a folder of its own.

    $METAFLOW_GATEWAY_HOME, or $XDG_CONFIG_HOME/metaflow-gateway, or ~/.config/metaflow-gateway    (0700)
      current.json                  the profile that is used when nothing chooses another
      profiles/NAME/stage.json      the stage's address and its /cli/config; nothing secret
      profiles/NAME/tokens.json     the tokens
      profiles/NAME/credentials.json  temporary AWS credentials
      profiles/NAME/*.lock          locks; empty
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .private_file import FILE_BYTES_MAX, make_private_folder, read_private_file, remove_file, write_private_file
from .problems import LoginRequired, SetupProblem
from .stage import Origin, StageConfiguration, stage_origin
from .tokens import Tokens

PROFILE_VARIABLE = "METAFLOW_GATEWAY_PROFILE"
HOME_VARIABLE = "METAFLOW_GATEWAY_HOME"
OFF = "off"
"""The value of METAFLOW_GATEWAY_PROFILE that makes Metaflow behave as if this extension were not installed."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


def configuration_folder(environment: Mapping[str, str]) -> str:
    chosen = environment.get(HOME_VARIABLE)
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    base = environment.get("XDG_CONFIG_HOME") or ""
    # A relative XDG_CONFIG_HOME is to be ignored (XDG base directory specification).
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "metaflow-gateway")


def check_profile_name(name: str) -> str:
    if not _NAME.match(name) or name == OFF:
        raise SetupProblem(
            f"{name!r} cannot name a profile; use up to 64 lower-case letters, digits, dashes and underscores, and not {OFF!r}."
        )
    return name


@dataclass(frozen=True)
class Profile:
    name: str
    folder: str
    configuration: StageConfiguration
    fetched_at: float
    """When `/cli/config` was read, in seconds of the local wall clock."""

    @property
    def tokens_path(self) -> str:
        return os.path.join(self.folder, "tokens.json")

    @property
    def tokens_lock_path(self) -> str:
        return os.path.join(self.folder, "tokens.lock")

    @property
    def credentials_path(self) -> str:
        return os.path.join(self.folder, "credentials.json")

    @property
    def credentials_lock_path(self) -> str:
        return os.path.join(self.folder, "credentials.lock")

    @property
    def login_command(self) -> str:
        command = self.configuration.login_command
        return command if self.name == self.configuration.stage else f"{command} --profile {self.name}"

    def load_tokens(self) -> Tokens:
        content = read_private_file(self.tokens_path)
        # Tokens name their stage, so that none is ever sent to another one whose description took its place.
        if content is None or content.get("url") != str(self.configuration.origin):
            raise LoginRequired(
                f"You are not logged in to {self.configuration.stage}; run: {self.login_command}"
            )
        try:
            return Tokens.from_json(content)
        except (KeyError, TypeError, ValueError) as error:
            raise SetupProblem(
                f"{self.tokens_path} is damaged or of another version ({error}); run: {self.login_command}"
            ) from error

    def save_tokens(self, tokens: Tokens) -> None:
        write_private_file(self.tokens_path, {**tokens.to_json(), "url": str(self.configuration.origin)})

    @property
    def is_logged_in(self) -> bool:
        return os.path.exists(self.tokens_path)

    def remove_secrets(self) -> None:
        remove_file(self.tokens_path)
        remove_file(self.credentials_path)


class ProfileStore:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ProfileStore:
        return cls(configuration_folder(environment))

    def _profile_folder(self, name: str) -> str:
        return os.path.join(self.folder, "profiles", check_profile_name(name))

    def names(self) -> list[str]:
        try:
            entries = os.listdir(os.path.join(self.folder, "profiles"))
        except OSError:
            return []
        return sorted(e for e in entries if _NAME.match(e) and os.path.isfile(os.path.join(self._profile_folder(e), "stage.json")))

    def load(self, name: str) -> Optional[Profile]:
        folder = self._profile_folder(name)
        content = read_private_file(os.path.join(folder, "stage.json"))
        if content is None:
            return None
        try:
            origin = stage_origin(str(content["url"]))
            configuration = StageConfiguration.from_json(content["configuration"], origin)
            return Profile(name, folder, configuration, float(content["fetched_at"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SetupProblem(f"{folder}/stage.json is damaged ({error}); log in to that stage again.") from error

    def save(self, name: str, origin: Origin, document: dict[str, Any], fetched_at: float) -> Profile:
        """Keep a stage's `/cli/config` under a profile. The document is read first, so a bad one is never stored."""
        configuration = StageConfiguration.from_json(document, origin)
        folder = self._profile_folder(name)
        for each in (self.folder, os.path.join(self.folder, "profiles"), folder):
            make_private_folder(each)
        write_private_file(
            os.path.join(folder, "stage.json"),
            {"url": str(origin), "configuration": document, "fetched_at": fetched_at},
        )
        return Profile(name, folder, configuration, fetched_at)

    def current_name(self) -> Optional[str]:
        content = read_private_file(os.path.join(self.folder, "current.json"))
        name = content.get("profile") if content else None
        return name if isinstance(name, str) and _NAME.match(name) else None

    def set_current(self, name: str) -> None:
        write_private_file(os.path.join(self.folder, "current.json"), {"profile": check_profile_name(name)})

    def forget_current(self, name: str) -> None:
        if self.current_name() == name:
            remove_file(os.path.join(self.folder, "current.json"))

    def by_origin(self, origin: Origin) -> list[Profile]:
        profiles = (self.load(name) for name in self.names())
        return [p for p in profiles if p is not None and p.configuration.origin == origin]

    def choose(self, environment: Mapping[str, str], service_url: Optional[str]) -> Optional[Profile]:
        """The profile that a Metaflow process uses.

        METAFLOW_GATEWAY_PROFILE decides; else METAFLOW_PROFILE, if a login has that name; else, unless METAFLOW_PROFILE
        names something that is not ours, the current one. A METAFLOW_SERVICE_URL that the user gave (environment or a
        configuration file) goes before all but the first: it picks the profile of that stage, or none.
        """
        named = environment.get(PROFILE_VARIABLE, "")
        if named == OFF:
            return None
        if named:
            profile = self.load(check_profile_name(named))
            if profile is None:
                raise LoginRequired(
                    f"{PROFILE_VARIABLE} is {named!r}, and there is no login of that name; "
                    f"run: metaflow-gateway-login https://STAGE-HOST --profile {named}"
                )
            return profile
        metaflow_profile = environment.get("METAFLOW_PROFILE", "")
        if metaflow_profile:
            chosen = self.load(metaflow_profile) if _NAME.match(metaflow_profile) and metaflow_profile != OFF else None
        else:
            current = self.current_name()
            chosen = self.load(current) if current else None
        if service_url is None:
            return chosen
        origin = Origin.of(service_url)
        if origin is None:
            return None
        if chosen is not None and chosen.configuration.origin == origin:
            return chosen
        others = self.by_origin(origin)
        return others[0] if len(others) == 1 else None


def user_service_url(environment: Mapping[str, str], working_folder: str) -> Optional[str]:
    """The METAFLOW_SERVICE_URL that the user gave, looked up where and in the order in which Metaflow does it:
    the environment, `.metaflow/config.json` here or above, then METAFLOW_HOME."""
    if "METAFLOW_SERVICE_URL" in environment:
        return environment["METAFLOW_SERVICE_URL"]
    home = os.path.expanduser(environment.get("METAFLOW_HOME", "~/.metaflowconfig"))
    profile = environment.get("METAFLOW_PROFILE")
    for path in (
        _project_configuration(working_folder),
        os.path.join(home, f"config_{profile}.json" if profile else "config.json"),
    ):
        value = _setting(path, "METAFLOW_SERVICE_URL") if path else None
        if value is not None:
            return value
    return None


def _project_configuration(folder: str) -> Optional[str]:
    while True:
        candidate = os.path.join(folder, ".metaflow")
        if os.path.isdir(candidate):
            return os.path.join(candidate, "config.json")
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _setting(path: str, name: str) -> Optional[str]:
    """A damaged file is Metaflow's to report; here it says nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.loads(file.read(FILE_BYTES_MAX)).get(name)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return value if isinstance(value, str) else None
