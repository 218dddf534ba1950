"""Which requests are led to a login, which are told that they need one, and which a login does not concern (D1, D13, D17)."""

import pytest
from login import FETCH, NAVIGATION, ORIGIN, PUBLIC_PORT, SESSION, UPGRADE, Browser, query
from test_metrics import count

FRAME = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
IMAGE = [("Accept", "image/*"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"), ("Sec-Fetch-Site", "same-origin")]


@pytest.mark.parametrize("fields", [NAVIGATION, [("Accept", "text/html")], [("Accept", "application/json;q=0.1, Text/HTML ;q=0.9")]], ids=["by Sec-Fetch", "by Accept", "among others"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_navigation_is_led_to_the_provider(browser, platform, method, fields):
    response = browser.ask(method, "/flows/1?tab=x", fields)
    assert response.status == 302
    assert response.get("cache-control") == "no-store"
    assert response.get("location").startswith(f"{platform.endpoint}/us-west-2_LocalStage/oauth2/authorize?")
    asked = query(response.get("location"))
    assert asked["response_type"] == "code" and asked["client_id"] == "local-browser-client"
    assert asked["redirect_uri"] == f"{ORIGIN}/oauth2/callback"
    assert "openid" in asked["scope"].split()
    assert len(asked["state"]) == 22 and len(asked["nonce"]) >= 22
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(browser.transactions) == 1 and list(browser.cookies) == browser.transactions


def test_no_two_logins_share_a_state_nonce_or_challenge(browser):
    asked = [query(browser.start_login()) for _ in range(4)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({one[name] for one in asked}) == 4


def test_the_redirect_address_never_comes_from_the_request(browser):
    forged = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http"), ("Forwarded", "host=evil.example"), ("Origin", "https://evil.example"), ("Referer", "https://evil.example/")]
    response = browser.ask("GET", "/", [*NAVIGATION, *forged])
    assert query(response.get("location"))["redirect_uri"] == f"{ORIGIN}/oauth2/callback"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", FETCH), ("GET", FRAME), ("GET", IMAGE), ("GET", []), ("GET", [("Accept", "*/*")]), ("GET", [("Accept", "application/json")]),
        ("GET", [("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")]), ("GET", [*NAVIGATION, *UPGRADE]), ("GET", UPGRADE),
        ("POST", [("Accept", "text/html")]), ("POST", FETCH), ("PUT", FETCH), ("DELETE", FETCH), ("PATCH", FETCH), ("OPTIONS", FETCH),
        ("GET", [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]), ("GET", [("Accept", "text/html"), ("Sec-Fetch-Dest", "document")]),
        ("GET", [("Accept", "text/htmlx")]),
    ],
    ids=["fetch", "frame", "image", "bare", "curl", "json", "xhr", "navigation that upgrades", "WebSocket", "form of an old browser", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "no destination", "no mode", "not quite html"],
)
def test_what_is_no_navigation_is_told_and_gets_no_cookie(browser, upstream, path, method, fields):
    response = browser.ask(method, path, fields, b"x" if method in ("POST", "PUT", "PATCH") else None)
    assert response.status == 401
    answer = response.json()
    assert answer["code"] == "login_required" and answer["login_url"] == "/oauth2/start?rd=%2F"
    assert answer["request_id"] == response.get("x-request-id")
    assert response.get("www-authenticate") == "Session"
    assert response.get("cache-control") == "no-store"
    assert response.get("location") is None and response.all("set-cookie") == []
    assert upstream.seen(path) == []


@pytest.mark.parametrize(("site", "status", "title"), [("same-origin", 401, "You are not logged in"), ("cross-site", 403, "This came from another site")])
def test_a_form_that_a_person_sent_without_a_login_is_answered_by_a_page(browser, upstream, path, site, status, title):
    """It fills the window; and it cannot be led to the login, which would lose what it holds."""
    fields = [field for field in NAVIGATION if field[0] != "Sec-Fetch-Site"] + [("Sec-Fetch-Site", site)]
    response = browser.ask("POST", path, fields, b"x=1")
    assert response.status == status and response.get("content-type") == "text/html; charset=utf-8" and f"<h1>{title}</h1>" in response.body.decode()
    assert response.get("www-authenticate") == ("Session" if status == 401 else None)
    assert response.get("cache-control") == "no-store" and response.get("location") is None and response.all("set-cookie") == []
    assert upstream.seen(path) == []


@pytest.mark.parametrize("target", ["/api/x", "/api/metadata/x", "/page"])
def test_a_request_with_a_token_is_never_led_to_a_login(browser, target):
    response = browser.ask("GET", target, [*NAVIGATION, ("Authorization", "Bearer no-token")])
    assert response.status == 401
    assert response.get("location") is None and response.all("set-cookie") == []


@pytest.mark.parametrize("target", ["/api/x", "/api/metadata/x"])
def test_a_good_token_passes_beside_the_login_whatever_the_cookie(browser, platform, upstream, target):
    browser.cookies = {SESSION: "nonsense"}
    fields = [*FETCH, ("Authorization", f"Bearer {platform.token(user='grace')}")]
    assert browser.ask("POST", target, fields, b"x").status == 200


def test_a_program_without_a_login_is_told_of_the_token_that_it_lacks(browser):
    response = browser.ask("GET", "/api/metadata/x", [("Accept", "*/*")])
    assert response.status == 401
    assert response.get("www-authenticate").startswith("Bearer ")


def test_a_public_route_needs_no_login(browser):
    assert browser.navigate("/public/x").status == 200
    assert browser.cookies == {}


# --- Requests that other sites' pages make (D13)

SAME, NONE, CROSS, SITE = (("Sec-Fetch-Site", value) for value in ("same-origin", "none", "cross-site", "same-site"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([SAME], 200), ([NONE], 200), ([SAME, ("Origin", "https://evil.example")], 200), ([("Origin", ORIGIN)], 200),
        ([CROSS], 403), ([SITE], 403), ([CROSS, ("Origin", ORIGIN)], 403), ([], 403), ([("Origin", "null")], 403), ([("Origin", "https://evil.example")], 403),
        ([("Origin", f"{ORIGIN}.evil.example")], 403), ([("Origin", f"http://localhost:{PUBLIC_PORT}")], 403), ([("Origin", "https://localhost")], 403),
        ([("Origin", f"https://second.localhost:{PUBLIC_PORT}")], 403), ([("Sec-Fetch-Site", "Same-Origin")], 403), ([("Referer", f"{ORIGIN}/")], 403),
    ],
)
def test_a_cookie_acts_only_for_our_own_pages(shared_ada, upstream, path, method, fields, status):
    response = shared_ada.ask(method, path, fields, b"x")
    assert response.status == status
    if status == 403:
        assert response.json()["code"] == "origin_refused"
    assert len(upstream.seen(path)) == (status == 200)


@pytest.mark.parametrize("site", [CROSS, SITE, SAME, NONE])
def test_reading_is_allowed_from_everywhere(shared_ada, site):
    fields = [field for field in NAVIGATION if field[0] != "Sec-Fetch-Site"]
    assert shared_ada.ask("GET", "/page", [*fields, site]).status == 200


def test_what_another_site_tried_with_a_login_is_counted(shared_ada, login_gateway, path):
    def refused() -> float:
        return count(login_gateway, "gw_auth_decisions_total", method="login_session", result="refused", reason="origin_refused")

    before = refused()
    response = shared_ada.ask("POST", path, [CROSS], b"x")
    assert login_gateway.entry(response.get("x-request-id"))["auth"]["reason"] == "origin_refused"
    assert refused() == before + 1


def test_a_forged_form_does_nothing(shared_ada, upstream, path):
    response = shared_ada.ask("POST", path, [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), CROSS], b"x")
    assert response.status == 403 and upstream.seen(path) == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [([("Origin", ORIGIN)], 101), ([SAME, ("Origin", ORIGIN)], 101), ([("Origin", "https://evil.example")], 403), ([CROSS, ("Origin", ORIGIN)], 403), ([], 403), ([("Origin", "null")], 403)],
    ids=["own", "own by both", "foreign", "cross-site", "silent", "null"],
)
def test_a_socket_with_a_login_opens_only_from_our_own_pages(ada, upstream, fields, status):
    before = len(upstream.seen("/ws"))
    response = ada.ask("GET", "/ws", [*UPGRADE, *fields])
    assert response.status == status
    ada.leave()
    assert len(upstream.seen("/ws")) - before == (status == 101)


@pytest.fixture(scope="module")
def shared_ada(login_gateway):
    """One login for the tests that do not change it."""
    browser = Browser(login_gateway)
    browser.log_in("ada")
    yield browser
    browser.leave()
