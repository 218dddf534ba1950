"""Files that change are taken up without a word (F4, A4): configuration, certificates, secrets, and the links of a mounted Secret."""

import copy
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from gateway import Gateway, eventually

WATCHES = {"reload": {"watch_files": True}}


def recent(gateway) -> list[dict]:
    return gateway.admin("GET", "/reloads").json()


def test_a_changed_file_is_taken_up_once(start, surroundings):
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    changed = copy.deepcopy(configuration)
    changed["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    changed["stages"][1]["routes"].append({"path": "/new", "respond": 410})
    # Three files, one after the other: one change.
    gateway.write(changed)
    eventually(lambda: gateway.ask("GET", "/new").status == 410, "the new route")

    def version() -> str:
        return gateway.admin("GET", "/status").json()["configuration"]["version"]

    # The version is of the whole, so nothing was left for a second reload. Files that a busy machine writes far apart are more than one change.
    entries = eventually(lambda: (found := recent(gateway)) and found[0]["version"] == version() and found, "the record")
    assert all(entry["cause"] == "files" for entry in entries) and entries[0]["result"] == "accepted"
    versions = [entry["version"] for entry in entries]
    assert len(set(versions)) == len(versions), "one change was taken up twice"


def test_a_faulty_file_is_refused_whole_and_taken_up_when_it_is_mended(start, surroundings):
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    bad = copy.deepcopy(configuration)
    # The faulty file is written first: however far apart a busy machine writes the two, the good one is never there without it.
    bad["stages"][0]["routes"].append({"path": "/naked", "upstream": "main"})
    bad["stages"][1]["routes"].append({"path": "/new", "respond": 410})

    def status_of_the_new_route() -> int:
        with gateway.client(server_name="second.localhost") as client:
            return client.ask("GET", "/new", host="second.localhost").status

    gateway.write(bad)
    [entry] = eventually(lambda: [entry for entry in recent(gateway) if entry["result"] == "refused"][:1], "the refusal")
    assert any("first.yaml" in diagnostic["file"] and diagnostic["line"] > 0 for diagnostic in entry["diagnostics"])
    assert status_of_the_new_route() == 404
    gateway.wait_for_line("configuration refused: the old one goes on serving")
    assert gateway.metrics()["gw_config_last_reload_successful"] == 0
    bad["stages"][0]["routes"].pop()
    gateway.write(bad)
    eventually(lambda: status_of_the_new_route() == 410, "the mended configuration")
    eventually(lambda: gateway.metrics()["gw_config_last_reload_successful"] == 1, "the reload to be counted")


def test_a_file_that_was_missing_is_taken_up_when_it_comes(start, surroundings):
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    document = json.loads(gateway.file.read_text())
    late = gateway.folder / "late" / "third.yaml"
    late.parent.mkdir()
    document["stages"].append(str(late))
    gateway.file.write_text(json.dumps(document))
    eventually(lambda: [entry for entry in recent(gateway) if entry["result"] == "refused"], "the refusal")
    stage = copy.deepcopy(configuration["stages"][1]) | {"stage": "third", "host": "127.0.0.1", "public_url": "https://127.0.0.1:8443"}
    # A new stage's public paths are news to somebody.
    stage["approve"] = [f"{route['path']} becomes public" for route in stage["routes"] if "public" in route]
    stage["identity"]["cognito"]["user_pool"] = "us-west-2_ThirdStage"
    temporary = late.with_suffix(".new")
    temporary.write_text(json.dumps(stage))
    temporary.rename(late)
    eventually(lambda: recent(gateway)[0]["result"] == "accepted", "the stage")


def test_what_has_been_taken_up_already_is_not_taken_up_again(start, surroundings):
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    configuration["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    gateway.write(configuration)
    assert gateway.command("reload").returncode == 0
    # A second change shows that the watcher has looked since.
    configuration["stages"][0]["routes"].append({"path": "/newer", "respond": 410})
    gateway.write(configuration)
    eventually(lambda: gateway.ask("GET", "/newer").status == 410, "the second change")
    # A reload is recorded behind its effect.
    eventually(lambda: recent(gateway)[0]["cause"] == "files", "the record")
    causes = [entry["cause"] for entry in recent(gateway)]
    assert causes.count("command") == 1 and len(causes) <= 3


def test_watching_can_be_switched_off_while_it_runs(start, surroundings):
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    configuration["reload"] = {"watch_files": False}
    gateway.write(configuration)

    def watches() -> bool:
        return gateway.admin("GET", "/configuration").json()["reload"]["watches_files"]

    eventually(lambda: recent(gateway) and not watches(), "the last change that is taken up")
    configuration["stages"][0]["routes"].append({"path": "/new", "respond": 410})
    gateway.write(configuration)
    # A watcher settles in 250 ms, at most in 2 s: one that still looked would have taken it up by then.
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert gateway.ask("GET", "/new").status == 200
        time.sleep(0.05)
    assert gateway.command("reload").returncode == 0
    assert gateway.ask("GET", "/new").status == 410
    assert recent(gateway)[0]["cause"] == "command"


class Mount:
    """A Secret as Kubernetes mounts it: files are links to `..data/…`, and `..data` is a link that is swapped at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generation = 0
        folder.mkdir()

    def publish(self, files: dict[str, bytes]) -> None:
        self.generation += 1
        data = self.folder / f"..2026_{self.generation}"
        data.mkdir()
        for name, content in files.items():
            (data / name).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(self.folder / "..data")
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for old in self.folder.glob("..2026_*"):
            if old.name != data.name:
                shutil.rmtree(old)

    def path(self, name: str) -> str:
        return str(self.folder / name)


def served(gateway) -> list[str]:
    with gateway.client() as client:
        return [value for _, value in client.sock.getpeercert()["subjectAltName"]]


def test_a_mounted_certificate_that_is_swapped_serves_new_connections_and_old_ones_live(start, surroundings, authority, tmp_path):
    def pair(*hosts: str) -> dict[str, bytes]:
        paths = authority.leaf("mounted", "localhost", "second.localhost", *hosts)
        return {"tls.crt": Path(paths["chain"]).read_bytes(), "tls.key": Path(paths["key"]).read_bytes()}

    mount = Mount(tmp_path / "mount")
    mount.publish(pair("old.localhost"))
    configuration = surroundings.configuration(**WATCHES)
    configuration["listeners"][0]["tls"]["certificates"] = [{"chain": mount.path("tls.crt"), "key": mount.path("tls.key")}]
    gateway = start(configuration)
    with gateway.client() as living:
        assert living.ask("GET", "/open/x").status == 200
        for name in ("new.localhost", "newer.localhost"):
            mount.publish(pair(name))
            eventually(lambda: name in served(gateway), f"the certificate of {name}")
        assert living.ask("GET", "/open/x").status == 200
    eventually(lambda: gateway.metrics()['gw_tls_cert_reload_total{result="accepted"}'] == 2, "both to be counted")
    assert re.fullmatch(rf"the certificate of localhost in {re.escape(mount.path('tls.crt'))} is a new one, until 20\S+Z", *recent(gateway)[0]["changes"])
    gateway.wait_for_line("changed: the certificate of localhost", 2)
    # A pair that does not match is refused, counted, and the old one serves.
    mount.publish({"tls.crt": pair("broken.localhost")["tls.crt"], "tls.key": pair("other.localhost")["tls.key"]})
    eventually(lambda: gateway.metrics()['gw_tls_cert_reload_total{result="rejected"}'] == 1, "the refusal")
    assert "newer.localhost" in served(gateway)
    gateway.wait_for_line("is not the private key of the certificate")
    assert [certificate["names"][-1] for certificate in gateway.admin("GET", "/certificates").json()] == ["newer.localhost"]


def test_a_secret_that_is_changed_is_used_from_then_on_and_never_shown(scripted, start_login_gateway):
    from login import Browser

    made = []
    gateway = start_login_gateway(scripted, change=lambda configuration: (configuration.update(WATCHES), made.append(configuration)))
    file = Path(made[0]["stages"][0]["identity"]["browser_client"]["secret"]["file"])

    def log_in() -> str:
        browser = Browser(gateway)
        assert browser.come_back(scripted.callback(browser.start_login(), code=f"code-{len(scripted.basic)}")).status == 302
        browser.leave()
        return scripted.basic[-1].partition(":")[2]

    def fingerprint() -> str:
        return gateway.admin("GET", "/configuration").json()["stages"][0]["identity"]["browser_client"]["secret"]["value"]

    old, before = log_in(), fingerprint()
    file.write_text("a-secret-that-was-rotated")
    eventually(lambda: fingerprint() != before, "the new secret to be taken up")
    assert old == "local-browser-development-secret" and log_in() == "a-secret-that-was-rotated"
    assert "a-secret-that-was-rotated" not in gateway.output + gateway.admin("GET", "/configuration").body.decode() + gateway.admin("GET", "/reloads").body.decode()


@pytest.mark.parametrize("days, words", [(5.5, "expires in 5 days"), (1.5, "expires in 1 day"), (20.5, None)])
def test_a_certificate_that_ends_soon_is_told_in_the_log_the_status_and_the_metric(start, surroundings, authority, days, words):
    configuration = surroundings.configuration()
    configuration["listeners"][0]["tls"]["certificates"] = [authority.leaf(f"ending-{days}", "localhost", "second.localhost", days=days)]
    gateway = start(configuration)
    assert "expires at" in gateway.wait_for_line("listeners[0].tls.certificates[0]"), "thirty days are warned of at the start"
    screen = gateway.command("status").stdout
    if words:
        assert screen.startswith(f"NOT WELL: the certificate of localhost {words}\n"), screen
    else:
        assert screen.startswith("well\n") and "20 days left" in screen, screen
    [left] = [value - time.time() for sample, value in gateway.metrics().items() if sample.startswith("gw_tls_cert_not_after_seconds")]
    assert 0 < days * 86_400 - left < 120


def test_a_tunnel_outlives_reloads_that_leave_its_upstream_as_it_was(start, surroundings, upstream, path):
    def tunnel(line, request):
        line.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        while data := line.sock.recv(1024):
            line.send(data)

    upstream.script[path] = tunnel
    configuration = surroundings.configuration(**WATCHES)
    gateway = start(configuration)
    with gateway.client() as client:
        assert client.ask("GET", path, [("Connection", "Upgrade"), ("Upgrade", "echo")]).status == 101
        assert gateway.metrics()["gw_conn_tunnels"] == 1
        for number in range(3):
            configuration["stages"][0]["routes"].insert(0, {"path": f"/new{number}", "respond": 410})
            gateway.write(configuration)
            eventually(lambda: gateway.ask("GET", f"/new{number}").status == 410, "the reload")
            client.send(b"still here")
            assert client.read_exactly(10) == b"still here"
    eventually(lambda: gateway.metrics()["gw_conn_tunnels"] == 0, "the tunnel to be gone")


# --- What a reload leaves alone (F5)


def reload_with_another_route(gateway, configuration: dict, number: int) -> None:
    configuration["stages"][0]["routes"].insert(0, {"path": f"/another{number}", "respond": 410})
    gateway.write(configuration)
    assert gateway.command("reload").returncode == 0
    eventually(lambda: gateway.ask("GET", f"/another{number}").status == 410, "the reload on every loop")


def test_upstream_connections_live_on(start, surroundings, upstream, path):
    configuration = surroundings.configuration(event_loops=1)
    gateway = start(configuration)
    for number in range(3):
        assert gateway.ask("GET", path).status == 200
        reload_with_another_route(gateway, configuration, number)
    assert gateway.ask("GET", path).status == 200
    assert len({request.connection for request in upstream.seen(path)}) == 1


def test_what_health_checks_found_lives_on_and_no_request_is_sent_to_an_endpoint_that_is_down(start, surroundings):
    endpoints = [surroundings.upstream.address, f"http://127.0.0.1:{surroundings.refusing_port}"]
    health = {"path": "/open/ping", "interval": "1s", "timeout": "1s", "unhealthy_after": 3, "healthy_after": 1}
    configuration = surroundings.configuration(
        event_loops=1, routes=[{"path": "/", "upstream": "two", "public": "tests"}], upstreams={"two": {"endpoints": endpoints, "health": health}})
    gateway = start(configuration)
    name = f"127.0.0.1:{surroundings.refusing_port}"

    def is_down() -> bool:
        return any(name in trouble for trouble in gateway.admin("GET", "/status").json()["troubles"])

    eventually(is_down, "the endpoint to be found down")
    before = gateway.total("gw_upstream_failures_total", upstream="two")
    for number in range(3):
        reload_with_another_route(gateway, configuration, number)
        assert is_down()
        assert [gateway.ask("GET", "/open/x").status for _ in range(6)] == [200] * 6
    assert gateway.total("gw_upstream_failures_total", upstream="two") == before


def test_an_instance_that_serves_stays_ready_whatever_is_reloaded(start, surroundings, provider):
    """Not ready, and the load balancer would take it away: every replica at once, since all of them follow the same files."""
    configuration = surroundings.configuration(event_loops=1)
    gateway = start(configuration)
    for number in range(3):
        reload_with_another_route(gateway, configuration, number)
        assert gateway.readiness() == (200, "ready\n")
        assert gateway.command("status").stdout.startswith("well\n")
    # A stage whose keys nobody has seen yet must not take the others with it: its own routes answer 503 until they come.
    old, new = provider.endpoint, f"http://127.0.0.1:{surroundings.refusing_port}"
    second = configuration["stages"][1]
    pool = second["identity"]["cognito"]["user_pool"]
    second["identity"]["cognito"]["endpoint"] = new
    second["approve"] = [f"callers are vouched for by {new}/{pool} instead of {old}/{pool}"]
    gateway.write(configuration)
    result = gateway.command("reload")
    assert result.returncode == 0, result.stdout
    assert gateway.readiness() == (200, "ready\n")
    assert gateway.metrics()["gw_ready"] == 1


def test_key_sets_are_not_fetched_again_and_tokens_go_on_without_their_provider(start, surroundings):
    from conftest import POOL
    from provider import Provider, signed

    provider = Provider([POOL])
    try:
        configuration = surroundings.configuration(routes=[{"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}])
        configuration["stages"][0]["identity"]["cognito"]["endpoint"] = provider.endpoint
        gateway = start(configuration)
        token = [("Authorization", f"Bearer {signed(provider.keys[POOL][0], provider.claims(POOL))}")]
        assert gateway.ask("GET", "/secure/x", token).status == 200
        fetches = provider.fetches[POOL]
        provider.down = True
        for number in range(3):
            reload_with_another_route(gateway, configuration, number)
            assert gateway.ask("GET", "/secure/x", token).status == 200
        assert provider.fetches[POOL] == fetches
    finally:
        provider.stop()


# --- What has been verified, and opened (F5)


def looked_at(gateway) -> tuple[float, float]:
    """Tokens whose signature was known, and those that had to be verified."""
    metrics = gateway.metrics()
    return metrics['gw_auth_tokens_total{result="known"}'], metrics['gw_auth_tokens_total{result="verified"}']


def test_a_verified_token_is_not_verified_anew_after_a_reload(start, surroundings, provider, bearer):
    configuration = surroundings.configuration(event_loops=1, routes=[{"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}])
    gateway = start(configuration)
    token = bearer()
    assert gateway.ask("GET", "/secure/x", token).status == 200
    assert looked_at(gateway) == (0, 1)
    for number in range(3):
        reload_with_another_route(gateway, configuration, number)
        assert gateway.ask("GET", "/secure/x", token).status == 200
    assert looked_at(gateway) == (3, 1)


def test_what_is_known_of_a_token_lets_nobody_through_whom_the_new_configuration_refuses(start, surroundings, provider, bearer):
    """The cache holds a signature that was good; client, groups and revocation are asked on every request."""
    route = {"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}
    configuration = surroundings.configuration(event_loops=1, routes=[route])
    gateway = start(configuration)
    token = bearer()

    def taken_up(change) -> None:
        change(configuration["stages"][0])
        gateway.write(configuration)
        result = gateway.command("reload")
        assert result.returncode == 0, result.stdout

    def answer() -> tuple[int, str | None]:
        response = gateway.ask("GET", "/secure/x", token)
        return response.status, response.json()["code"] if response.status != 200 else None

    assert answer() == (200, None)
    taken_up(lambda stage: stage["routes"][0].update(policy={"groups": ["operators"]}))
    assert answer() == (403, "group_missing")
    taken_up(lambda stage: stage.update(approve=["/secure no longer requires group operators"]) or stage["routes"][0].pop("policy"))
    assert answer() == (200, None)
    clients = configuration["stages"][0]["identity"]["clients"]
    taken_up(lambda stage: (stage.pop("approve"), stage["identity"].update(clients=clients[1:])))
    assert answer() == (401, "client_not_allowed")
    # None of it had to ask libcrypto again.
    assert looked_at(gateway) == (3, 1)


def test_a_token_is_verified_anew_once_its_keys_are_others(start, surroundings):
    from conftest import POOL
    from provider import Key, signed

    keys, file = [Key("first"), Key("second")], surroundings.folder / "keys.json"
    file.write_text(json.dumps({"keys": [key.public for key in keys]}))
    configuration = surroundings.configuration(event_loops=1, routes=[{"path": "/secure", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}])
    configuration["stages"][0]["identity"]["key_set_file"] = str(file)
    gateway = start(configuration)
    claims = surroundings.provider.claims(POOL)
    tokens = [[("Authorization", f"Bearer {signed(key, claims)}")] for key in keys]
    for _ in range(2):
        assert [gateway.ask("GET", "/secure/x", token).status for token in tokens] == [200, 200]
    assert looked_at(gateway) == (2, 2)
    file.write_text(json.dumps({"keys": [keys[1].public]}))
    assert gateway.command("reload").returncode == 0
    assert [gateway.ask("GET", "/secure/x", token).status for token in tokens] == [401, 200]
    assert looked_at(gateway)[0] == 2, "a signature of keys that are gone counts no more"


def test_a_login_goes_on_over_reloads_and_its_provider_hears_nothing_of_them(start_platform, start_login_gateway):
    from login import Browser

    # Of the shared one others may want something meanwhile.
    made, platform = [], start_platform()
    gateway = start_login_gateway(platform, change=lambda configuration: (configuration.update(event_loops=1), made.append(configuration)))
    browser = Browser(gateway)
    browser.log_in("ada")
    before = platform.counters
    cookies = dict(browser.cookies)
    for number in range(3):
        reload_with_another_route(gateway, made[0], number)
        assert browser.fetch("/").status == 200 and browser.who()
    assert browser.cookies == cookies and platform.counters == before
    # It is the same login: the cookie was opened, at most once a configuration, and known from then on.
    metrics = gateway.metrics()
    assert metrics['gw_sessions_cookies_total{result="opened"}'] <= 4 and metrics['gw_sessions_cookies_total{result="known"}'] >= 2
    browser.leave()
