"""Policies of routes: groups, scopes, and rules over claims, clients and addresses (C10), for cookies and bearer tokens alike."""

import time

import pytest
from login import FETCH, NAVIGATION, Browser
from provider import signed

STAFF = {"name": "staff", "decision": "allow", "when": {"all": [{"claim": "custom:employment", "equals": "staff"}, {"not": {"claim": "custom:suspended", "equals": "true"}}]}}
RULES = {
    "/staff": [STAFF],
    "/no-contractors": [
        {"name": "contractors-stay-out", "decision": "deny", "when": {"claim": "custom:employment", "in": ["contractor", "guest"]}},
        {"name": "everybody-else", "decision": "allow", "when": {"any": [{"scope": "openid"}, {"group": "science"}]}},
    ],
    "/levels": [{"name": "level", "decision": "allow", "when": {"claim": "custom:level", "in": ["3", "4"]}}],
    "/teams": [{"name": "team", "decision": "allow", "when": {"claim": "custom:teams", "equals": "storage"}}],
    "/browser": [{"name": "people", "decision": "allow", "when": {"client": "browser"}}],
    "/command-line": [{"name": "terminals", "decision": "allow", "when": {"client": "command-line"}}],
    "/here": [{"name": "loopback", "decision": "allow", "when": {"address": "127.0.0.0/8"}}],
    "/not-here": [{"name": "from-afar", "decision": "allow", "when": {"not": {"address": "127.0.0.0/8"}}}],
}


def with_rules(made: dict) -> None:
    routes = made["stages"][0]["routes"]
    for path, rules in RULES.items():
        routes.append({"path": path, "upstream": "main", "credentials": ["login_session", "bearer"], "policy": {"rules": rules}})


@pytest.fixture
def ruled(scripted, start_login_gateway):
    """A gateway with the rules."""
    return start_login_gateway(scripted, change=with_rules)


@pytest.fixture
def ask(scripted, ruled):
    """Asks with a cookie or with a token, of a person of whom the provider says these claims."""
    gateway = ruled
    opened = []

    def by_cookie(target: str, claims: dict, fields):
        scripted.changes = claims
        browser = Browser(gateway)
        opened.append(browser)
        browser.come_back(scripted.callback(browser.start_login()))
        return browser.ask("GET", target, fields)

    def by_token(target: str, claims: dict, fields):
        now = int(time.time())
        token = signed(scripted.key, {
            "sub": "5c1fe9a0", "iss": f"{scripted.endpoint}/{scripted.pool}", "exp": now + 60, "iat": now, "cognito:groups": ["science"], "client_id": "local-command-line-client",
            "token_use": "access", "scope": "openid", "username": "ada", "jti": "a",
        } | claims)
        browser = Browser(gateway)
        opened.append(browser)
        return browser.ask("GET", target, [*fields, ("Authorization", f"Bearer {token}")])

    yield {"cookie": by_cookie, "token": by_token}
    for browser in opened:
        browser.leave()


@pytest.mark.parametrize("credential", ["cookie", "token"])
def test_a_claim_decides_whatever_the_credential(ask, credential):
    for target, claims, rule in [
        ("/staff", {"custom:employment": "staff"}, None),
        ("/staff", {"custom:employment": "staff", "custom:suspended": True}, "none"),
        ("/staff", {"custom:employment": "guest"}, "none"),
        ("/staff", {}, "none"),
        ("/no-contractors", {"custom:employment": "staff"}, None),
        ("/no-contractors", {}, None),
        ("/no-contractors", {"custom:employment": "guest"}, "contractors-stay-out"),
        ("/no-contractors", {"custom:employment": {"kind": "guest"}}, "contractors-stay-out"),
        ("/levels", {"custom:level": 3}, None),
        ("/levels", {"custom:level": "3"}, None),
        ("/levels", {"custom:level": 33}, "none"),
        ("/teams", {"custom:teams": ["compute", "storage"]}, None),
        ("/teams", {"custom:teams": "compute,storage"}, "none"),
        ("/here", {}, None),
        ("/not-here", {}, "none"),
        ("/browser", {}, None if credential == "cookie" else "none"),
        ("/command-line", {}, None if credential == "token" else "none"),
    ]:
        response = ask[credential](target, claims, FETCH)
        assert response.status == (200 if rule is None else 403), (target, claims, response.body)
        if rule:
            answer = response.json()
            assert answer["code"] == "rule_denied" and f"local {target}" in answer["message"]
            assert (rule in answer["message"]) or rule == "none" and "one of the rules" in answer["message"], answer


def test_a_person_whom_a_rule_refuses_sees_a_page_that_names_it(ask):
    response = ask["cookie"]("/no-contractors", {"custom:employment": "contractor"}, NAVIGATION)
    assert response.status == 403 and response.get("content-type").startswith("text/html")
    assert b"the rule contractors-stay-out of the policy local /no-contractors does not let you in" in response.body
    assert b"Sign out" in response.body and response.get("x-request-id").encode() in response.body


@pytest.mark.parametrize("credential", ["cookie", "token"])
@pytest.mark.parametrize(("target", "employment", "status", "rule"), [
    ("/no-contractors", "guest", 403, "contractors-stay-out"),
    ("/no-contractors", "staff", 200, "everybody-else"),
    ("/here", "staff", 200, "loopback"),
    ("/staff", "guest", 403, None),
    ("/api/x", "guest", 200, None),
])
def test_the_log_says_which_rule_decided(ask, ruled, credential, target, employment, status, rule):
    response = ask[credential](target, {"custom:employment": employment}, FETCH)
    assert response.status == status
    logged = ruled.entry(response.get("x-request-id"))["auth"]
    assert (logged["decision"], logged.get("rule")) == ("allowed" if status == 200 else "refused", rule)


def test_a_claim_of_the_access_token_counts_for_a_login_too(ask, scripted):
    scripted.access_changes = {"custom:employment": "staff"}
    assert ask["cookie"]("/staff", {}, FETCH).status == 200


def test_claims_that_no_policy_names_do_not_fill_the_cookie(ask, scripted, start_login_gateway):
    def size(claims: dict) -> int:
        scripted.changes = claims
        browser = Browser(gateway)
        browser.come_back(scripted.callback(browser.start_login()))
        browser.leave()
        return len(browser.cookies["__Host-gws"])

    gateway = start_login_gateway(scripted, change=with_rules)
    plain = size({})
    assert size({"custom:biography": "x" * 2000}) == plain
    assert plain < size({"custom:employment": "x" * 200}) < plain + 400


def test_a_renewal_brings_the_claims_of_the_day(scripted, start_login_gateway):
    browser = Browser(start_login_gateway(scripted, change=with_rules))
    scripted.changes = {"custom:employment": "staff"}
    browser.come_back(scripted.callback(browser.start_login()))
    assert browser.fetch("/staff").status == 200
    scripted.changes = {"custom:employment": "guest"}
    assert browser.ask("POST", "/oauth2/refresh", FETCH).status == 200
    assert browser.fetch("/staff").status == 403
    browser.leave()
