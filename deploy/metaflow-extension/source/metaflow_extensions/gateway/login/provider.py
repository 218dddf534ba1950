"""The login provider's token and revocation endpoints, as a public client sees them (RFC 6749, RFC 7009, RFC 7636)."""

from __future__ import annotations

from typing import Any, Optional

from . import web
from .problems import LoginProblem, LoginRequired, SetupProblem, Unavailable, printable
from .stage import StageConfiguration
from .tokens import TokenResponse


class LoginProvider:
    def __init__(self, configuration: StageConfiguration) -> None:
        self._configuration = configuration

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> TokenResponse:
        """Exchange an authorization code. Codes work once, so nothing here is tried twice."""
        return self._token(
            {
                "grant_type": "authorization_code",
                "client_id": self._configuration.client_id,
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            },
            refused="The login was refused: the code had been used already or was too old; run the same command again.",
        )

    def refresh(self, refresh_token: str) -> TokenResponse:
        """Raises `LoginRequired` if the refresh token is dead, `Unavailable` for everything that may pass."""
        return self._token(
            {
                "grant_type": "refresh_token",
                "client_id": self._configuration.client_id,
                "refresh_token": refresh_token,
            },
            refused=(
                f"Your login to {self._configuration.stage} has ended; run: {self._configuration.login_command} "
                "(a run that stopped goes on with: python FLOW.py resume)"
            ),
        )

    def revoke(self, refresh_token: str) -> None:
        """Make the refresh token worthless, here and everywhere."""
        endpoint = self._configuration.revocation_endpoint
        if endpoint is None:
            raise SetupProblem(f"The login provider of {self._configuration.stage} offers no revocation.")
        answer = web.send(endpoint, form={"token": refresh_token, "client_id": self._configuration.client_id})
        if answer.status != 200:
            raise Unavailable(f"The login provider of {self._configuration.stage} answered {answer.status} to the revocation.")

    def _token(self, form: dict[str, str], refused: str) -> TokenResponse:
        stage = self._configuration.stage
        answer = web.send(self._configuration.token_endpoint, form=form)
        document = answer.json()
        if answer.status == 200:
            response = _read_tokens(document)
            if response is None:
                raise Unavailable(f"The login provider of {stage} answered something that holds no token.")
            return response
        raise self._failure(answer, document.get("error") if isinstance(document, dict) else None, refused)

    def _failure(self, answer: web.Answer, error: Any, refused: str) -> LoginProblem:
        stage = self._configuration.stage
        if answer.status in (400, 401) and error == "invalid_grant":
            return LoginRequired(refused)
        if isinstance(error, str):
            return Unavailable(
                f"The login provider of {stage} refuses this command-line client ({printable(error, 80)}); tell the operators of {stage}.",
                answer.retry_after,
            )
        return Unavailable(
            f"The login provider of {stage} does not work at the moment (it answered {answer.status}).", answer.retry_after
        )


def _read_tokens(document: Any) -> Optional[TokenResponse]:
    if not isinstance(document, dict):
        return None
    access = _token_text(document.get("access_token"))
    if access is None or str(document.get("token_type", "Bearer")).lower() != "bearer":
        return None
    expires_in = document.get("expires_in")
    if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float)):
        expires_in = None
    return TokenResponse(
        access_token=access,
        id_token=_token_text(document.get("id_token")),
        refresh_token=_token_text(document.get("refresh_token")),
        expires_in=None if expires_in is None else float(expires_in),
    )


def _token_text(value: Any) -> Optional[str]:
    """Printable ASCII without spaces: what may stand in a header field (RFC 6749 appendix A.12)."""
    if isinstance(value, str) and 0 < len(value) <= 65536 and all("!" <= c <= "~" for c in value):
        return value
    return None
