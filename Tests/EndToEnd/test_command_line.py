"""`/cli` of the running stage: what the extension is told, and who the token is."""

import json
import urllib.request

import pytest


def test_the_configuration_leads_to_the_stages_own_provider_and_service(stack):
    status, text = stack.ask("/cli/config")
    assert status == 200
    told = json.loads(text)
    assert (told["stage"], told["client_id"]) == ("local", "local-command-line-client")
    assert told["issuer"].startswith(f"http://127.0.0.1:{stack.identity}/")
    assert told["settings"]["METAFLOW_SERVICE_URL"] == f"{stack.url}/api/metadata"
    assert told["redirect_ports"] == [8400, 8401, 8402]
    # Discovery of the provider says the same, so the endpoints are real.
    with urllib.request.urlopen(told["issuer"] + "/.well-known/openid-configuration", timeout=10) as answer:
        document = json.loads(answer.read())
    for name in ("authorization_endpoint", "token_endpoint", "revocation_endpoint"):
        assert told[name] == document[name]


def test_whoami_says_whose_the_token_is(stack):
    status, text = stack.ask("/cli/whoami", stack.token("--user", "grace"))
    assert status == 200
    told = json.loads(text)
    assert (told["user_name"], told["stage"]) == ("grace", "local")
    assert 3000 < told["seconds_left"] <= 3600


@pytest.mark.parametrize("arguments", [None, ("--stage", "second"), ("--expires-in", "-300")])
def test_whoami_refuses_what_every_route_refuses(stack, arguments):
    status, text = stack.ask("/cli/whoami", stack.token(*arguments) if arguments else None)
    assert status == 401 and json.loads(text)["message"]


def test_cli_says_what_it_is(stack):
    status, text = stack.ask("/cli/")
    assert status == 200 and stack.url in text
