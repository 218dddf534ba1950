"""moto's AWS behind a gatekeeper that does what moto leaves out: credentials with a name and an end, and S3 that refuses
others. The identity pool checks the ID token as Cognito does."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from moto.server import ThreadedMotoServer
from scripted_stage import CLIENT_ID, ScriptedStage, verify

REGION = "us-west-2"
BUCKET = "artifacts"


class ScriptedAWS(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, stage: ScriptedStage, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stage = stage
        self.seconds = seconds
        """How long the pool's credentials live."""
        self.lock = threading.Lock()
        self.issued: dict[str, float] = {}
        """Access keys that the pool gave out, with their end."""
        self.used: set[str] = set()
        self.get_id_calls = 0
        self.refused: list[str] = []
        self.s3_requests = 0
        self.pool_is_down = False

        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        host, self.moto_port = self._moto.get_host_and_port()
        # moto keeps its state per process, across servers.
        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{self.moto_port}/moto-api/reset", method="POST")).close()
        direct: dict[str, Any] = {
            "endpoint_url": f"http://{host}:{self.moto_port}",
            "region_name": REGION,
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        boto3.client("s3", **direct).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        pool = boto3.client("cognito-identity", **direct).create_identity_pool(
            IdentityPoolName="alpha",
            AllowUnauthenticatedIdentities=False,
            CognitoIdentityProviders=[{"ProviderName": self.provider_name, "ClientId": CLIENT_ID}],
        )
        self.pool_id = str(pool["IdentityPoolId"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def provider_name(self) -> str:
        return f"cognito-idp.{REGION}.amazonaws.com/{REGION}_Example1"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._moto.stop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault."""

    def settings(self) -> dict[str, Any]:
        """What the stage's `/cli/config` says for this account."""
        return {
            "identity_pool": {"id": self.pool_id, "region": REGION, "provider_name": self.provider_name},
            "settings": {
                "METAFLOW_SERVICE_URL": f"{self.stage.url}/api/metadata",
                "METAFLOW_SERVICE_INTERNAL_URL": "http://metadata.metaflow.svc:8080",
                "METAFLOW_DEFAULT_METADATA": "service",
                "METAFLOW_DEFAULT_DATASTORE": "s3",
                "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
                "METAFLOW_S3_ENDPOINT_URL": self.url,
                "METAFLOW_KUBERNETES_NAMESPACE": "science",
                "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "python:3.11",
            },
        }

    def refusal_of_login(self, logins: dict[str, str]) -> str:
        claims = verify(logins.get(self.provider_name, "..."))
        if claims is None:
            return "Invalid login token."
        if claims["token_use"] != "id" or claims["aud"] != CLIENT_ID or claims["iss"] != self.stage.issuer:
            return "Token is not from a supported provider of this identity pool."
        if claims["exp"] + self.stage.clock_skew < time.time():
            return "Invalid login token. Token expired."
        return ""


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedAWS
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _dispatch(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        if target.startswith("AWSCognitoIdentityService."):
            self._identity(target.split(".")[1], body)
        else:
            self._storage(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _dispatch

    def _identity(self, operation: str, body: bytes) -> None:
        aws = self.server
        if "Authorization" in self.headers:
            self._send(400, b'{"__type": "the call must be unsigned"}')
            return
        if aws.pool_is_down:
            self._send(500, b'{"__type": "InternalErrorException", "message": "down"}')
            return
        problem = aws.refusal_of_login(json.loads(body).get("Logins", {}))
        if problem:
            aws.refused.append(problem)
            self._send(400, json.dumps({"__type": "NotAuthorizedException", "message": problem}).encode())
            return
        status, headers, answer = self._forward(body)
        if operation == "GetId":
            aws.get_id_calls += 1
        elif status == 200:
            document = json.loads(answer)
            key = "ASIA" + secrets.token_hex(8).upper()
            ends = time.time() + aws.seconds
            document["Credentials"].update({"AccessKeyId": key, "SessionToken": f"session-of-{key}", "Expiration": ends})
            with aws.lock:
                aws.issued[key] = ends
            answer = json.dumps(document).encode()
        self._send(status, answer, headers)

    def _storage(self, body: bytes) -> None:
        aws = self.server
        key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        name = key[1] if key else ""
        with aws.lock:
            aws.s3_requests += 1
            ends = aws.issued.get(name)
            if ends is not None:
                aws.used.add(name)
        if ends is None or self.headers.get("X-Amz-Security-Token") != f"session-of-{name}":
            aws.refused.append(f"InvalidAccessKeyId {name!r}")
            self._send(403, b"<Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>")
        elif ends + aws.stage.clock_skew < time.time():
            aws.refused.append(f"ExpiredToken {time.time() - ends:.1f} s ago")
            self._send(400, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
        else:
            status, headers, answer = self._forward(body)
            self._send(status, answer, headers)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.moto_port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "content-length", "expect")}
        connection.request(self.command, self.path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def _send(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response_only(status)
        length = None
        for name, value in headers or []:
            if name.lower() == "content-length":
                length = value
            elif name.lower() not in ("connection", "transfer-encoding", "server"):
                self.send_header(name, value)
        # A HEAD answer tells the length of what it does not send.
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
