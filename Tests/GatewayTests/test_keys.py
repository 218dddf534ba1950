"""Key sets: fetched before ready, rotated, missing, and outages of the provider (C5, C6)."""

import time

import pytest
from conftest import POOL, SECOND_POOL
from gateway import eventually
from provider import Key, Provider, signed


@pytest.fixture
def own(surroundings):
    """A provider of this test alone."""
    provider = Provider([POOL, SECOND_POOL])
    surroundings.provider = provider
    yield provider
    provider.close()


@pytest.fixture
def secured(surroundings, own):
    """One event loop, so that caches and throttles are one."""
    return surroundings.configuration(routes=[{"path": "/open", "upstream": "main", "public": "tests"}, {"path": "/", "upstream": "main", "credentials": ["bearer"], "failures": "metaflow"}], event_loops=1)


def ask(gateway, token: str):
    return gateway.ask("GET", "/x", [("Authorization", f"Bearer {token}")])


def ask_again(gateway, token: str, status: int):
    """The answer of this status. A request waits a second for its keys: behind a provider whose machine stalls for longer it is 503, and the fetch goes on."""

    def answer():
        response = ask(gateway, token)
        assert response.status in (status, 503), response.body
        return response.status == status and response

    return eventually(answer, f"{status}")


def test_keys_are_there_when_the_gateway_is_ready(start, own, secured):
    gateway = start(secured)
    assert own.fetches == {POOL: 1, SECOND_POOL: 1}
    assert ask(gateway, own.token(POOL)).status == 200


def test_a_rotated_key_is_found_by_one_fetch_and_the_old_one_ends(start, own, secured):
    gateway = start(secured)
    old = own.token(POOL)
    assert ask(gateway, old).status == 200
    own.keys[POOL] = [Key("new")]
    ask_again(gateway, own.token(POOL), 200)
    assert own.fetches[POOL] == 2
    response = ask(gateway, old)
    assert response.status in (401, 503) and response.json()["code"] in ("key_unknown", "token_undecidable")


def test_a_second_key_beside_the_first_leaves_tokens_of_the_first_good(start, own, secured):
    gateway = start(secured)
    old = own.token(POOL)
    assert ask(gateway, old).status == 200
    own.keys[POOL] = [own.keys[POOL][0], Key("new")]
    ask_again(gateway, signed(own.keys[POOL][1], own.claims(POOL)), 200)
    assert ask(gateway, old).status == 200


def test_unknown_keys_cost_one_fetch_in_ten_seconds_and_known_ones_do_not_wait(start, own, secured):
    # What takes long is made before, so that the ten seconds are for the requests alone.
    forger, another = Key("unknown-1"), Key("unknown-2")
    tokens = [signed(another if number == 2 else forger, own.claims(POOL), header={"kid": f"other-{number}"}) for number in range(20)]
    gateway = start(secured)
    began = time.monotonic()
    first = ask_again(gateway, signed(forger, own.claims(POOL)), 401)
    assert first.json()["code"] == "key_unknown"
    fetches = own.fetches[POOL]
    assert 2 <= fetches <= 2 + (time.monotonic() - began) // 10
    # The same one is known to be unknown; others cannot be decided now, and 503 is what a Metaflow client retries.
    assert ask(gateway, signed(forger, own.claims(POOL))).status == 401
    with gateway.client() as client:
        for token in tokens:
            response = client.ask("GET", "/x", [("Authorization", f"Bearer {token}")])
            assert (response.status, response.json()["code"]) == (503, "token_undecidable")
            assert int(response.get("retry-after")) >= 1
    assert own.fetches[POOL] == fetches
    assert ask(gateway, own.token(POOL)).status == 200


def test_tokens_pass_while_the_provider_is_down(start, own, secured):
    gateway = start(secured)
    token = own.token(POOL)
    own.down = True
    assert ask(gateway, token).status == 200
    assert ask(gateway, own.token(POOL)).status == 200
    response = ask(gateway, signed(Key("unknown"), own.claims(POOL)))
    assert (response.status, response.json()["code"]) == (503, "token_undecidable")
    assert response.get("www-authenticate") is None
    assert gateway.readiness()[0] == 200


def test_the_last_good_keys_serve_after_a_restart_during_an_outage(start, own, secured):
    first = start(secured)
    assert ask(first, own.token(POOL)).status == 200
    assert first.stop() == 0
    own.down = True
    second = start(secured)
    assert ask(second, own.token(POOL)).status == 200


def test_without_any_key_set_a_token_is_503_and_the_other_routes_serve(start, own, secured):
    own.down = True
    gateway = start(secured, waits=False)
    gateway.port("listeners[0].address")
    response = eventually(lambda: ask(gateway, own.token(POOL)), "an answer")
    assert (response.status, response.json()["code"]) == (503, "token_undecidable")
    assert int(response.get("retry-after")) >= 1
    assert gateway.ask("GET", "/open/x").status == 200
    status, reason = gateway.readiness()
    assert status == 503 and POOL in reason
    own.down = False
    eventually(lambda: ask(gateway, own.token(POOL)).status == 200, "the key set to arrive")
    eventually(lambda: gateway.readiness()[0] == 200, "readiness")


def test_keys_are_private_to_their_owner_on_disk(start, own, secured, surroundings):
    start(secured)
    folder = surroundings.folder / "state/key-sets"
    files = eventually(lambda: len(found := list(folder.glob("*.json"))) == 2 and found, "the copies on disk")
    assert all(place.stat().st_mode & 0o077 == 0 for place in (folder, *files))


def test_a_key_set_file_takes_the_place_of_the_provider(start, surroundings, own, secured):
    import json

    key = Key("on-disk")
    file = surroundings.folder / "keys.json"
    file.write_text(json.dumps({"keys": [key.public]}))
    secured["stages"][0]["identity"]["key_set_file"] = str(file)
    gateway = start(secured)
    assert own.fetches[POOL] == 0
    assert ask(gateway, signed(key, own.claims(POOL))).status == 200
    assert ask(gateway, own.token(POOL)).status in (401, 503)


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b'{"keys": "no"}', b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}', b"<html>", b'{"keys": [' + b'{"kty":"oct","k":"AAAA","kid":"a","alg":"HS256"}' + b"]}"],
    ids=["nothing", "no keys", "keys of the wrong kind", "an empty list", "half a key", "a page", "a secret"],
)
def test_an_answer_that_is_no_key_set_leaves_the_old_one(start, own, secured, monkeypatch, answer):
    gateway = start(secured)
    token = own.token(POOL)
    monkeypatch.setattr(Key, "public", property(lambda self: None))
    import json

    monkeypatch.setattr("provider.json.dumps", lambda value, dumps=json.dumps: answer.decode() if isinstance(value, dict) and set(value) == {"keys"} else dumps(value))
    unknown = signed(Key("unknown"), own.claims(POOL))
    response = ask(gateway, unknown)
    assert response.status in (401, 503)
    gateway.wait_for_line("key set not fetched")
    assert own.fetches[POOL] >= 2
    assert ask(gateway, token).status == 200


def test_requests_that_wait_for_keys_share_one_fetch(start, own, secured):
    import threading

    gateway = start(secured)
    own.keys[POOL] = [Key("new")]
    token, statuses = own.token(POOL), []
    threads = [threading.Thread(target=lambda: statuses.append(ask_again(gateway, token, 200).status)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert statuses == [200] * 12
    assert own.fetches[POOL] == 2


def test_a_client_that_leaves_while_its_keys_are_fetched_harms_nobody(start, own, secured):
    gateway = start(secured)
    for number in range(10):
        client = gateway.client()
        client.request("GET", "/x", [("Authorization", f"Bearer {signed(own.keys[POOL][0], own.claims(POOL), header={'kid': f'gone-{number}'})}")])
        client.reset()
    assert ask(gateway, own.token(POOL)).status == 200
    assert gateway.process.poll() is None
