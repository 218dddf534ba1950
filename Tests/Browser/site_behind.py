"""The web site behind the gateway: pages that say who is asking, and a socket that echoes."""

from __future__ import annotations

import base64
import hashlib
import html

from upstream import Line, Received


def page(line: Line, request: Received) -> None:
    line.read_body(request)
    if (request.get("upgrade") or "").lower() == "websocket":
        return socket(line, request)
    user = request.get("x-auth-username") or request.get("x-auth-subject") or "nobody"
    text = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>site {html.escape(request.target)}</title>
<h1 id="target">{html.escape(request.target)}</h1><p id="user">{html.escape(user)}</p><p id="cookies">{html.escape(request.get("cookie") or "")}</p>
<p><a id="next" href="/next">Next</a> <a id="out" href="/oauth2/sign_out">Sign out</a> <a id="everywhere" href="/oauth2/sign_out?everywhere=1">Sign out everywhere</a></p>"""
    body = b"" if request.target == "/favicon.ico" else text.encode()
    line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def socket(line: Line, request: Received) -> None:
    """RFC 6455 §4.2.2; then one text frame, and it waits for the end."""
    key = base64.b64encode(hashlib.sha1((request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    line.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + key + b"\r\n\r\n")
    said = (request.get("x-auth-username") or "nobody").encode()
    line.send(bytes([0x81, len(said)]) + said)
    line.read_to_end()
