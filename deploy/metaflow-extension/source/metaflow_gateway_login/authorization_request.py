"""One authorization request with its proof key (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import parse_qs, urlencode, urlsplit

from metaflow_extensions.gateway.login.problems import LoginProblem, SetupProblem, printable
from metaflow_extensions.gateway.login.stage import StageConfiguration
from metaflow_extensions.gateway.login.tokens import TokenResponse, read_claims

CODE_MAX = 4096


def _random_text() -> str:
    """43 characters, 256 bits: both what a code verifier may look like and more than a state needs."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class AuthorizationRequest:
    configuration: StageConfiguration
    redirect_uri: str
    asks_again: bool = False
    """The provider is to ask the person although it knows them (OpenID Connect Core 3.1.2.1)."""
    state: str = field(default_factory=_random_text)
    nonce: str = field(default_factory=_random_text)
    verifier: str = field(default_factory=_random_text)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    @property
    def url(self) -> str:
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.configuration.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": " ".join(self.configuration.scopes),
                "state": self.state,
                "nonce": self.nonce,
                "code_challenge": self.challenge,
                "code_challenge_method": "S256",
                **({"prompt": "login"} if self.asks_again else {}),
            }
        )
        separator = "&" if urlsplit(self.configuration.authorization_endpoint).query else "?"
        return self.configuration.authorization_endpoint + separator + query

    def is_state(self, state: str) -> bool:
        return hmac.compare_digest(state.encode(), self.state.encode())

    def read_callback(self, query: str) -> Optional[str]:
        """The code in a callback's query; nothing if the callback is not this request's (wrong or missing state).

        Raises what the provider reported instead of a code (section 4.1.2.1).
        """
        try:
            fields = parse_qs(query, keep_blank_values=True, max_num_fields=20)
        except ValueError:
            return None
        if any(len(values) != 1 for values in fields.values()):
            return None
        values = {name: each[0] for name, each in fields.items()}
        if not self.is_state(values.get("state", "")):
            return None
        if "error" in values:
            raise _provider_error(values["error"], values.get("error_description", ""))
        code = values.get("code", "")
        return code if _is_code(code) else None

    def read_pasted(self, text: str) -> str:
        """The code in what a person pasted: `CODE`, `CODE#STATE` as /cli/callback shows it, or that page's whole address."""
        pasted = text.strip()
        if "://" in pasted:
            code = self.read_callback(urlsplit(pasted).query)
            if code is None:
                raise SetupProblem("That address is of another login; paste the code that belongs to the link above.")
            return code
        code, mark, state = pasted.partition("#")
        if mark and not self.is_state(state):
            raise SetupProblem("That code is of another login; paste the code that belongs to the link above.")
        if not _is_code(code):
            raise SetupProblem("That is not a code; paste what the page shows, and nothing else.")
        return code

    def check_id_token(self, response: TokenResponse) -> None:
        """The ID token came straight from the provider over TLS, so its signature adds nothing (Core 3.1.3.7, point 6);
        that it answers this very request is checked."""
        if response.id_token is None:
            return
        claims = read_claims(response.id_token)
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        for claim, matches in (
            ("nonce", claims.get("nonce") == self.nonce),
            ("iss", claims.get("iss") == self.configuration.issuer),
            ("aud", self.configuration.client_id in audiences),
        ):
            if not matches:
                raise SetupProblem(
                    f"The login provider's ID token does not belong to this login ({claim} differs); run the same command again."
                )


def _is_code(code: str) -> bool:
    return 0 < len(code) <= CODE_MAX and all("!" <= c <= "~" for c in code)


def _provider_error(error: str, description: str) -> LoginProblem:
    if error == "access_denied":
        return SetupProblem(
            f"The login was refused ({printable(description or error, 200)}); ask the operators whether you have access to this stage."
        )
    return SetupProblem(
        f"The login provider reported {printable(error, 80)}: {printable(description, 200) or 'no explanation'}; "
        "run the same command again, and tell the operators if it happens twice."
    )
