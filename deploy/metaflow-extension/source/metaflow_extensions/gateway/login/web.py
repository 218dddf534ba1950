"""Requests to the stage and to its login provider, each failure as one sentence that names the remedy.

The standard library's client is used, with the trust that Metaflow's own client (requests) will have, so that a login
which works here also works in the run. Redirects are never followed: they could carry a token to another host.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import HTTPException, IncompleteRead
from typing import Any, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
    getproxies,
    proxy_bypass,
)

from .problems import SetupProblem, Unavailable, UntrustedCertificate, printable
from .version import VERSION

ANSWER_BYTES_MAX = 256 * 1024
TIMEOUT = 10.0
"""Seconds for one request from beginning to end."""
CLOCK_DIFFERENCE_MAX = 60.0
"""Seconds that this machine's clock may differ from a server's before it is worth a word."""


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    retry_after: Optional[float]
    clock_difference: Optional[float]
    """How far this machine's clock is ahead of the server's, in seconds; nothing if the server sent no date."""

    def json(self) -> Any:
        """The body as JSON, or nothing if it is something else."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def message(self) -> str:
        """The sentence in the gateway's own error body, or a general one."""
        document = self.json()
        if isinstance(document, dict) and isinstance(document.get("message"), str):
            return printable(document["message"])
        return f"It answered {self.status}."


def send(
    url: str,
    *,
    form: Optional[dict[str, str]] = None,
    bearer: Optional[str] = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """GET `url`, or POST the form to it. Any HTTP status is an answer; no answer at all is `Unavailable`."""
    headers = {"Accept": "application/json", "User-Agent": f"metaflow-gateway-extension/{VERSION}"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    data = None
    if form is not None:
        data = urlencode(form).encode("ascii")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    request = Request(url, data=data, headers=headers)
    deadline = time.monotonic() + timeout
    try:
        try:
            response = _opener(*_trust()).open(request, timeout=timeout)
        except HTTPError as error:
            response = error
        with response:
            sent_at = time.time()
            body = b""
            while len(body) <= ANSWER_BYTES_MAX:
                if time.monotonic() > deadline:
                    raise TimeoutError("the answer did not end in time")
                chunk = response.read1(65536) if hasattr(response, "read1") else response.read(65536)
                if not chunk:
                    break
                body += chunk
            status = int(response.status if response.status is not None else 0)
            fields = response.headers
            missing = _announced(status, fields) - len(body)
            # read1 takes the end of a connection for the end of the body.
            if missing > 0 and len(body) <= ANSWER_BYTES_MAX:
                raise IncompleteRead(body, missing)
    except (OSError, HTTPException, ValueError) as error:
        raise _problem(url, error) from error
    if len(body) > ANSWER_BYTES_MAX:
        raise Unavailable(f"{_place(url)} sent more than {ANSWER_BYTES_MAX} bytes, which is not an answer to expect there.")
    return Answer(
        status=status,
        content_type=str(fields.get("Content-Type", "")),
        body=body,
        retry_after=_retry_after(fields.get("Retry-After")),
        clock_difference=_clock_difference(fields.get("Date"), sent_at),
    )


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **names: Any) -> None:
        return None


@lru_cache(maxsize=4)
def _opener(bundle: Optional[str], _changed: float) -> OpenerDirector:
    return build_opener(_NoRedirects(), HTTPSHandler(context=_context(bundle)))


def _trust() -> tuple[Optional[str], float]:
    """The bundle of authorities that requests would use: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, else certifi's."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(variable)
        if path:
            try:
                return path, os.stat(path).st_mtime
            except OSError as error:
                raise SetupProblem(
                    f"{variable} points to {path}, which cannot be read ({error.strerror}); correct or unset it."
                ) from error
    return None, 0.0


def _context(bundle: Optional[str]) -> ssl.SSLContext:
    if bundle is None:
        try:
            import certifi
        except ImportError:
            return ssl.create_default_context()
        return ssl.create_default_context(cafile=certifi.where())
    try:
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise SetupProblem(
            f"{bundle} (REQUESTS_CA_BUNDLE) holds no certificates in PEM form; point it at a .pem file of authorities."
        ) from error


def _announced(status: int, fields: Message) -> int:
    """The body's length as the server announced it; 0 where it announced none, or where there is no body whatever it says."""
    value = str(fields.get("Content-Length", "")).strip()
    if status in (204, 304) or fields.get("Transfer-Encoding") is not None or not value.isascii() or not value.isdigit():
        return 0
    return int(value[:18])


def _retry_after(value: Optional[str]) -> Optional[float]:
    """Seconds only: no server of ours sends the date form, and a wrong one must not stop a run for long."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return None
    return float(min(int(value.strip()[:6]), 3600))


def _clock_difference(date: Optional[str], now: float) -> Optional[float]:
    if date is None:
        return None
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def clock_warning(answer: Answer) -> Optional[str]:
    difference = answer.clock_difference
    if difference is None or abs(difference) <= CLOCK_DIFFERENCE_MAX:
        return None
    direction = "fast" if difference > 0 else "slow"
    return (
        f"This machine's clock is {_span(abs(difference))} {direction}; set it (for example: sudo timedatectl set-ntp true), "
        "or certificates and AWS signatures will be refused."
    )


def _span(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def _place(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or url


def proxy_variable(url: str) -> Optional[tuple[str, str]]:
    """The proxy that requests to this URL go through, as its variable's name and its address without a password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        if proxy_bypass(f"{host}:{parts.port}" if parts.port else host) or proxy_bypass(host):
            return None
        proxies = getproxies()
    except (OSError, ValueError):
        return None
    for scheme in (parts.scheme, "all"):
        if proxies.get(scheme):
            name = f"{scheme}_proxy"
            name = name.upper() if name.upper() in os.environ else name
            proxy = urlsplit(proxies[scheme] if "://" in proxies[scheme] else f"//{proxies[scheme]}")
            try:
                port = proxy.port
            except ValueError:
                port = None
            return name, (proxy.hostname or "") + (f":{port}" if port else "")
    return None


_EXPIRED_OR_NOT_YET_VALID = (9, 10)
_WRONG_NAME = (62, 64)
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
"""OpenSSL's X509_V_ERR codes, from x509_vfy.h."""


def _problem(url: str, error: Exception) -> Unavailable:
    host = _place(url)
    reason: BaseException = error
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        reason = error.reason
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _certificate_problem(host, reason)
    proxy = proxy_variable(url)
    if proxy is not None:
        return Unavailable(
            f"{host} cannot be reached through the proxy {proxy[1]} that {proxy[0]} names ({_explain(reason)}); "
            f"correct {proxy[0]}, or add {host} to NO_PROXY."
        )
    return Unavailable(f"{host} cannot be reached ({_explain(reason)}); check the address, the network and the VPN.")


def _explain(reason: BaseException) -> str:
    if isinstance(reason, (TimeoutError, socket.timeout)):
        return "no answer in time"
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused"
    if isinstance(reason, socket.gaierror):
        return "the name does not resolve"
    if isinstance(reason, ssl.SSLError):
        return f"TLS: {reason.reason or reason}"
    return str(reason) or type(reason).__name__


def _certificate_problem(host: str, reason: ssl.SSLCertVerificationError) -> UntrustedCertificate:
    if reason.verify_code in _EXPIRED_OR_NOT_YET_VALID:
        today = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return UntrustedCertificate(
            f"The certificate of {host} is not valid at {today}, this machine's time; set the clock if that is wrong, "
            "else tell the operators."
        )
    if reason.verify_code in _WRONG_NAME:
        return UntrustedCertificate(
            f"The certificate at {host} is for another name, so something else answers there; check the address and the network."
        )
    if reason.verify_code not in _UNKNOWN_AUTHORITY:
        return UntrustedCertificate(
            f"The certificate of {host} is not acceptable to this Python ({reason.verify_message}); tell the operators."
        )
    bundle = next((v for v in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(v)), None)
    remedy = (
        f"add its authority to {os.environ[bundle]} ({bundle})"
        if bundle
        else "export REQUESTS_CA_BUNDLE=/path/to/ca.pem (Metaflow reads this variable, not SSL_CERT_FILE)"
    )
    return UntrustedCertificate(
        f"The certificate of {host} is signed by an authority that this machine does not trust "
        f"({reason.verify_message}); {remedy}."
    )
