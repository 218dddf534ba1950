"""The run browser's live updates at `/api/ws`, with `websockets` as the client, through the gateway and its login."""

import json
import urllib.request

import pytest
from login import ORIGIN, Browser, configuration
from frames import real_client
from websockets.exceptions import InvalidStatus

RUN = {"flow_id": "LiveFlow", "user_name": "ada", "tags": ["first"], "system_tags": ["python_version:3.11.7", "metaflow_version:2.19.39"]}


def record(platform, path: str, body: dict) -> dict:
    """What Metaflow's client records."""
    request = urllib.request.Request(f"http://127.0.0.1:{platform.metadata}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.fixture
def live(start_platform, start_login_gateway):
    """A platform of its own, a gateway that leads to its run browser as config/local does, and somebody who is logged in."""
    platform = start_platform()

    def change(made: dict) -> None:
        stage = made["stages"][0]
        stage["upstreams"]["ui"] = {"endpoints": [f"http://127.0.0.1:{platform.browser}"], "balance": {"hash": "login_session"}}
        stage["routes"] = [
            {"path": "/api", "upstream": "ui", "strip_prefix": True, "credentials": ["login_session", "bearer"]},
            {"path": "/", "upstream": "ui", "credentials": ["login_session"]},
        ]

    gateway = start_login_gateway(platform, change=change)
    browser = Browser(gateway)
    browser.log_in()
    record(platform, "/flows/LiveFlow", {"user_name": "ada", "tags": [], "system_tags": []})
    yield platform, gateway, browser
    browser.leave()


def connect(gateway, browser, path: str = "/api/ws", origin: str | None = ORIGIN):
    return real_client(gateway, path, origin=origin, additional_headers={"Cookie": browser.cookie_field} if browser else None)


def said(socket) -> dict:
    return json.loads(socket.recv(timeout=20))


def test_a_subscriber_hears_of_a_run_as_it_begins_and_goes_on(live):
    platform, gateway, browser = live
    with connect(gateway, browser) as socket, connect(gateway, browser) as other:
        socket.send(json.dumps({"type": "SUBSCRIBE", "uuid": "u-1", "resource": "/runs"}))
        other.send(json.dumps({"type": "SUBSCRIBE", "uuid": "u-2", "resource": "/flows/OtherFlow/runs"}))
        for client in (socket, other):
            client.send("__ping__")
            assert client.recv(timeout=20) == "__pong__"
        run = record(platform, "/flows/LiveFlow/run", RUN)
        begun = said(socket)
        assert (begun["type"], begun["uuid"], begun["resource"]) == ("INSERT", "u-1", "/runs")
        assert (begun["data"]["flow_id"], begun["data"]["run_number"], begun["data"]["status"]) == ("LiveFlow", run["run_number"], "running")
        path = f"/flows/LiveFlow/runs/{run['run_number']}"
        record(platform, f"{path}/steps/end/step", RUN)
        record(platform, f"{path}/steps/end/task", RUN)
        record(platform, f"{path}/steps/end/tasks/1/metadata", [{**RUN, "field_name": "attempt_ok", "type": "attempt_ok", "value": "True", "tags": []}])
        changed = said(socket)
        while changed["data"]["status"] != "completed":
            changed = said(socket)
        assert (changed["type"], changed["uuid"]) == ("UPDATE", "u-1")
        # Whoever follows another flow heard nothing of it.
        other.send("__ping__")
        assert other.recv(timeout=20) == "__pong__"


def test_a_subscriber_that_comes_back_is_told_of_what_it_missed(live):
    platform, gateway, browser = live
    with connect(gateway, browser) as socket:
        socket.send("__ping__")
        assert socket.recv(timeout=20) == "__pong__"
    run = record(platform, "/flows/LiveFlow/run", RUN)
    with connect(gateway, browser) as socket:
        socket.send(json.dumps({"type": "SUBSCRIBE", "uuid": "u", "resource": "/flows/LiveFlow/runs", "since": run["ts_epoch"]}))
        assert said(socket)["data"]["run_number"] == run["run_number"]


def test_the_upgrade_works_on_a_pooled_connection_and_its_neighbours_go_on(live):
    platform, gateway, browser = live
    for _ in range(3):
        assert browser.fetch("/api/runs").status == 200
        with connect(gateway, browser) as socket:
            socket.send("__ping__")
            assert socket.recv(timeout=20) == "__pong__"


@pytest.mark.parametrize("origin, is_logged_in, status", [("https://evil.example", True, 403), (None, True, 403), (ORIGIN, False, 401)], ids=["another origin", "no origin", "no login"])
def test_nobody_listens_without_the_login_and_its_own_origin(live, origin, is_logged_in, status):
    _, gateway, browser = live
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway, browser if is_logged_in else None, origin=origin)
    assert refused.value.response.status_code == status


def test_what_the_platform_refuses_passes_through(live):
    """Too large a message is closed with 1009 by the platform, and the gateway hands that on."""
    _, gateway, browser = live
    with connect(gateway, browser) as socket:
        socket.send("x" * 100_000)
        with pytest.raises(Exception) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd is not None and closed.value.rcvd.code in (1002, 1009)
