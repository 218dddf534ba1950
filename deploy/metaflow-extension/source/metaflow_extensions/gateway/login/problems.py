"""Everything that can go wrong, as one sentence that says what to do."""

from __future__ import annotations

from typing import Optional


def printable(text: str, longest: int = 500) -> str:
    """Text from a server, made fit for a terminal: no control characters, and not endless."""
    return "".join(c if c.isprintable() else " " for c in text[:longest]).strip()


class LoginProblem(Exception):
    """A problem whose text is for the person at the keyboard: one sentence, with the remedy in it."""

    @property
    def sentence(self) -> str:
        return str(self)


class LoginRequired(LoginProblem):
    """Only a person can go on from here: nobody is logged in, or the refresh token is dead."""


class SetupProblem(LoginProblem):
    """Something on this machine or in the stage's answer must be changed first; waiting does not help."""


class Unavailable(LoginProblem):
    """A server could not answer now. The same request may succeed later."""

    def __init__(self, sentence: str, retry_after: Optional[float] = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """Seconds that the server asked us to wait (RFC 9110 section 10.2.3), if it did."""


class UntrustedCertificate(Unavailable):
    """The certificate did not verify. It may pass later (a hotel's network, a clock that is set right), hence a kind of
    `Unavailable`; where somebody waits at the keyboard it is shown at once."""
