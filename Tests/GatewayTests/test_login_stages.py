"""A login is good on its own stage and for what the policies allow (C9, C10, D7)."""

import pytest
from login import FETCH, FIRST_POOL, SECOND_POOL, SESSION, Browser, query


def test_a_login_of_one_stage_is_worthless_on_another(ada, login_gateway, upstream, platform):
    other = Browser(login_gateway, "second.localhost", dict(ada.cookies))
    before = len(upstream.received)
    assert other.fetch("/").status == 401
    assert other.fetch("/oauth2/session").status == 401
    response = other.navigate("/page")
    assert response.status == 302 and len(upstream.received) == before
    assert query(response.get("location"))["client_id"] == "second-browser-client" and SECOND_POOL in response.get("location")
    assert query(response.get("location"))["redirect_uri"] == "https://second.localhost:8443/oauth2/callback"
    assert other.navigate("/oauth2/sign_out").status == 302
    assert ada.fetch("/").status == 200, "signing out with it ends nothing here"
    other.leave()


def test_a_login_is_bound_to_its_host_even_where_two_stages_share_a_provider(platform, start_login_gateway):
    def share(made: dict) -> None:
        made["stages"][1]["identity"] = made["stages"][0]["identity"]

    gateway = start_login_gateway(platform, change=share)
    browser = Browser(gateway)
    browser.log_in()
    assert browser.fetch("/").status == 200
    other = Browser(gateway, "second.localhost", dict(browser.cookies))
    assert other.fetch("/").status == 401
    browser.leave()
    other.leave()


def test_a_login_that_one_stage_began_cannot_end_on_another(browser, login_gateway):
    url = browser.provider.answer(browser.start_login())
    other = Browser(login_gateway, "second.localhost", dict(browser.cookies))
    response = other.navigate(url.partition(":8443")[2])
    assert response.status == 400 and not any(line.startswith(SESSION) for line in response.all("set-cookie"))
    other.leave()


def test_each_stage_has_its_own_login(ada, login_gateway, upstream, path):
    other = Browser(login_gateway, "second.localhost")
    other.log_in("grace")
    assert other.who()["stage"] == "second" and ada.who()["stage"] == "local"
    assert other.navigate(path).status == 200 and ada.navigate(path).status == 200
    assert [request.get("x-auth-username") for request in upstream.seen(path)] == ["grace", "ada"]
    assert [request.get("x-auth-issuer").rpartition("/")[2] for request in upstream.seen(path)] == [SECOND_POOL, FIRST_POOL]
    other.leave()


def test_a_person_without_the_group_is_told_which_rule_it_is(ada, upstream):
    page = ada.navigate("/admins/x")
    assert page.status == 403
    text = page.body.decode()
    assert "ml-admins, operators" in text and "You are logged in as ada" in text and page.get("x-request-id") in text
    assert "/admins" in text, "the policy's name"
    answer = ada.fetch("/admins/x")
    assert answer.status == 403
    said = answer.json()
    assert said["code"] == "group_missing" and "ml-admins, operators" in said["message"] and "/admins" in said["message"]
    for response in (page, answer):
        assert response.get("location") is None and response.all("set-cookie") == [] and response.get("cache-control") == "no-store"
    assert upstream.seen("/admins/x") == []


def test_a_person_with_one_of_the_groups_passes(login_gateway, upstream, path):
    browser = Browser(login_gateway)
    browser.log_in("grace")
    assert browser.navigate(f"/admins{path}").status == 200
    assert "ml-admins" in upstream.seen(f"/admins{path}")[0].get("x-auth-groups").split(",")
    browser.leave()


@pytest.mark.parametrize("ask", ["navigate", "fetch"])
def test_a_login_without_the_scope_is_told_which(ada, ask):
    response = getattr(ada, ask)("/writers/x")
    assert response.status == 403 and b"metaflow/write" in response.body


def test_the_same_policy_holds_for_tokens(platform, start_login_gateway):
    def admit_tokens(made: dict) -> None:
        next(route for route in made["stages"][0]["routes"] if route["path"] == "/admins")["credentials"] = ["login_session", "bearer"]

    with start_login_gateway(platform, change=admit_tokens).client() as client:
        refused, passed = (client.ask("GET", "/admins/x", [*FETCH, ("Authorization", f"Bearer {platform.token(user=user)}")]) for user in ("ada", "grace"))
        assert (refused.status, refused.json()["code"]) == (403, "group_missing")
        assert passed.status == 200


def test_identity_fields_of_the_request_never_pass(ada, upstream, path):
    forged = [("X-Auth-Username", "root"), ("X-Auth-Groups", "ml-admins"), ("X-Auth-Email", "root@example.com")]
    assert ada.ask("GET", path, [*FETCH, *forged]).status == 200
    request = upstream.seen(path)[0]
    assert request.all("x-auth-username") == ["ada"] and "ml-admins" not in (request.get("x-auth-groups") or "")
    assert request.all("x-auth-email") == ["ada@example.com"]


def test_the_access_log_says_who_by_which_credential(ada, login_gateway):
    entry = login_gateway.entry(ada.navigate("/page").get("x-request-id"))
    assert entry["auth"]["sub"] == ada.who()["subject"]
    assert entry["auth"]["method"] == "login_session" and entry["auth"]["client"] == "browser" and entry["auth"]["decision"] == "allowed"
    refused = login_gateway.entry(Browser(login_gateway).fetch("/page").get("x-request-id"))
    assert "SX" in refused["flags"] and refused["details"] == "login_required"
