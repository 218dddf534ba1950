"""To the provider and back: the login's own paths, what a callback must bring, where it may lead, and when it has become a loop
(D2 to D7, D15)."""

import json
import threading
import time
import urllib.parse
from hashlib import sha256

import pytest
from login import FETCH, NAVIGATION, ORIGIN, RECENT, SESSION, SESSION_PARTS, Browser, query, target_of
from provider import Key, base64url
from upstream import Upstream


@pytest.fixture(scope="module")
def shared_ada(login_gateway):
    """One login for the tests that do not change it."""
    browser = Browser(login_gateway)
    browser.log_in("ada")
    yield browser
    browser.leave()


# --- The way there and back


def test_a_login_ends_where_the_person_wanted_to_go(browser, upstream, path):
    response = browser.log_in("ada", f"{path}?run=1&tab=a%20b")
    assert response.get("location") == f"{path}?run=1&tab=a%20b"
    assert response.get("referrer-policy") == "no-referrer" and response.get("cache-control") == "no-store"
    assert browser.has_session and browser.transactions == []
    response = browser.navigate(response.get("location"))
    assert response.status == 200
    request = upstream.seen(path)[0]
    assert request.get("x-auth-username") == "ada" and request.get("x-auth-email") == "ada@example.com"
    assert request.get("authorization") is None


def test_a_login_carries_no_token_that_a_script_or_upstream_could_read(ada, upstream, path):
    assert all("eyJhbGci" not in value for value in ada.cookies.values())
    answer = ada.ask("GET", "/oauth2/session", FETCH)
    who = answer.json()
    assert who["username"] == "ada" and who["email"] == "ada@example.com" and who["groups"] == ["science"] and who["stage"] == "local"
    assert 0 < who["expires_at"] - time.time() <= 3600 and who["login_ends_at"] >= who["expires_at"] and who["renewable"] is True
    assert set(who) == {"subject", "username", "email", "groups", "groups_truncated", "expires_at", "login_ends_at", "renewable", "stage", "sign_out_url"}
    assert answer.get("cache-control") == "no-store"
    assert ada.navigate(path).status == 200
    request = upstream.wait_for(path)
    assert b"eyJhbGci" not in request.head and request.all("authorization") == request.all("cookie") == []


def test_every_login_is_a_new_one(browser):
    browser.log_in()
    first, kept = browser.cookies[SESSION], dict(browser.cookies)
    browser.cookies.clear()
    browser.log_in()
    assert browser.cookies[SESSION] != first
    browser.cookies = kept
    assert browser.who()["username"] == "ada"


def test_the_first_part_of_a_path_makes_no_way_around_the_login_paths(shared_ada, upstream):
    before = len(upstream.received)
    for target in ("/oauth2", "/oauth2/", "/oauth2/nothing", "/oauth2/session/more", "/%6fauth2/nothing", "/oauth2/session%2fx"):
        response = shared_ada.fetch(target)
        assert response.status in (400, 404), target
    assert [request.target for request in upstream.received[before:] if "auth2" in request.target] == []
    assert shared_ada.fetch("/oauth2x").status == 200


@pytest.mark.parametrize(("method", "target", "allowed"), [
    ("POST", "/oauth2/start", "GET, HEAD"), ("POST", "/oauth2/callback", "GET, HEAD"), ("DELETE", "/oauth2/session", "GET, HEAD"),
    ("GET", "/oauth2/refresh", "POST"), ("PUT", "/oauth2/sign_out", "GET, POST"), ("POST", "/oauth2/signed_out", "GET, HEAD"),
])
def test_a_login_path_says_which_methods_it_has(shared_ada, method, target, allowed):
    response = shared_ada.fetch(target, method)
    assert response.status == 405 and response.get("allow") == allowed


def test_without_a_login_there_is_no_session_and_nothing_to_refresh(browser):
    assert browser.fetch("/oauth2/session").status == 401
    assert browser.fetch("/oauth2/refresh", "POST").status == 401
    assert browser.cookies == {}


def test_starting_while_logged_in_leads_straight_on(shared_ada):
    response = shared_ada.navigate("/oauth2/start?rd=%2Fflows%3Fa%3D1")
    assert response.status == 302 and response.get("location") == "/flows?a=1" and response.all("set-cookie") == []


def test_only_a_navigation_starts_a_login(browser):
    assert browser.fetch("/oauth2/start?rd=%2F").status == 401
    assert browser.cookies == {}


# --- What a callback must bring


def refused(browser, response, code):
    assert response.status in (400, 403, 502), response.status
    text = response.body.decode()
    assert f"<dd>{code}</dd>" in text, text
    assert response.get("x-request-id") in text
    assert not browser.has_session and not any(line.startswith(SESSION + "=") for line in response.all("set-cookie"))
    assert response.get("location") is None
    policy = response.get("content-security-policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def changed(url: str, **parameters: str | None) -> str:
    pairs = query(url) | parameters
    return target_of(url).partition("?")[0] + "?" + urllib.parse.urlencode({name: value for name, value in pairs.items() if value is not None})


@pytest.mark.parametrize(
    ("state", "code"),
    [(None, "state_malformed"), ("", "state_malformed"), ("A" * 22, "login_interrupted"), ("A" * 21, "state_malformed"), ("A" * 23, "state_malformed"), ("!" * 22, "state_malformed"), ("<script>", "state_malformed")],
)
def test_a_callback_with_another_state_is_refused(browser, platform, state, code):
    url = browser.provider.answer(browser.start_login())
    before = platform.counters["token_requests"]
    response = browser.navigate(changed(url, state=state))
    refused(browser, response, code)
    assert b"<script>" not in response.body
    assert platform.counters["token_requests"] == before


def test_a_doubled_parameter_is_refused(browser):
    target = target_of(browser.provider.answer(browser.start_login()))
    parameters = query(ORIGIN + target)
    refused(browser, browser.navigate(f"{target}&state={parameters['state']}"), "state_malformed")
    refused(browser, browser.navigate(f"{target}&code={parameters['code']}"), "code_malformed")
    refused(browser, browser.navigate(f"{target}&error=a&error=b"), "error_doubled")


def test_a_callback_without_its_transaction_is_an_interrupted_login(browser):
    url = browser.provider.answer(browser.start_login())
    browser.cookies.clear()
    refused(browser, browser.come_back(url), "login_interrupted")


def test_a_login_that_somebody_else_began_is_refused(browser, login_gateway):
    """Login CSRF: the attacker's finished callback, opened by the victim."""
    attacker = Browser(login_gateway)
    url = attacker.provider.answer(attacker.start_login(), "grace")
    browser.start_login()
    refused(browser, browser.come_back(url), "login_interrupted")
    attacker.leave()


def test_a_code_of_another_login_is_refused(browser, login_gateway):
    """The attacker's code in the victim's own callback: PKCE binds it to the attacker's verifier."""
    attacker = Browser(login_gateway)
    stolen = query(attacker.provider.answer(attacker.start_login(), "grace"))["code"]
    url = browser.provider.answer(browser.start_login())
    refused(browser, browser.navigate(changed(url, code=stolen)), "code_refused")
    attacker.leave()


def test_an_id_token_with_another_nonce_is_refused(browser):
    authorization = browser.start_login()
    nonce = query(authorization)["nonce"]
    url = browser.provider.answer(authorization.replace(nonce, nonce[::-1]))
    refused(browser, browser.come_back(url), "nonce_mismatch")


def test_a_code_is_good_once(browser):
    url = browser.provider.answer(browser.start_login())
    again = browser.copy()
    assert browser.come_back(url).status == 302
    refused(again, again.come_back(url), "code_refused")
    again.leave()


def test_going_back_to_the_callback_leads_to_the_start_page(browser):
    url = browser.provider.answer(browser.start_login())
    assert browser.come_back(url).status == 302
    response = browser.come_back(url)
    assert response.status == 302 and response.get("location") == "/"
    assert browser.has_session


def test_an_issuer_in_the_callback_must_be_ours(browser, platform):
    url = browser.provider.answer(browser.start_login())
    refused(browser, browser.navigate(changed(url, iss="https://evil.example")), "issuer_mismatch")
    assert browser.navigate(changed(url, iss=f"{platform.endpoint}/us-west-2_LocalStage")).status == 302


@pytest.mark.parametrize(("error", "status"), [("access_denied", 403), ("server_error", 503), ("invalid_scope", 502), ("<script>alert(1)</script>", 502)])
def test_an_error_of_the_provider_is_a_page_that_repeats_nothing(browser, error, status):
    state = query(browser.start_login())["state"]
    response = browser.navigate("/oauth2/callback?" + urllib.parse.urlencode({"error": error, "error_description": "<b>call 555</b>", "state": state}))
    assert response.status == status
    assert b"call 555" not in response.body and b"<script" not in response.body
    assert browser.transactions == [], "the transaction is used up"


# --- Transactions


def test_of_six_logins_under_way_five_are_kept(browser):
    started = [browser.start_login(f"/tab/{number}") for number in range(6)]
    assert len(browser.transactions) == 5
    refused(browser, browser.come_back(browser.provider.answer(started[0])), "login_interrupted")
    response = browser.come_back(browser.provider.answer(started[1]))
    assert response.status == 302 and response.get("location") == "/tab/1"
    assert browser.has_session and browser.transactions == [], "a login ends the others under way"
    for number in (2, 5):
        response = browser.come_back(browser.provider.answer(started[number]))
        assert response.status == 302 and response.get("location") == "/"


def test_long_targets_do_not_make_the_cookies_too_long(browser):
    for number in range(6):
        browser.start_login(f"/tab/{number}?q=" + "x" * 1900)
        assert len(browser.cookie_field) <= 12 * 1024
        assert 1 <= len(browser.transactions) <= 5
    assert browser.navigate("/").status == 302


def test_a_transaction_that_was_changed_is_none(browser):
    url = browser.provider.answer(browser.start_login())
    name = browser.transactions[0]
    value = browser.cookies[name]
    browser.cookies[name] = value[:-6] + ("A" if value[-6] != "A" else "B") + value[-5:]
    refused(browser, browser.come_back(url), "login_interrupted")


def test_more_tabs_than_cookies_are_read_do_not_lock_the_browser_out(login_gateway):
    """Seventy tabs at once, none of which knows of another: the next page must find a way out by itself."""
    browser = Browser(login_gateway)
    tabs = [Browser(login_gateway) for _ in range(70)]
    for number, tab in enumerate(tabs):
        tab.navigate(f"/tab/{number}")
        browser.cookies |= tab.cookies
        tab.leave()
    assert len(browser.transactions) == 70
    response = browser.navigate("/")
    assert response.status in (302, 431)
    assert browser.navigate("/").status == 302, "what is ours is cleared by the answer that complains of it"
    assert len(browser.transactions) <= 5
    browser.leave()


# --- Where a login may lead (D6)

EVIL = [
    "//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "/\\\\evil.example",
    "https://evil.example", "https:evil.example", "https:/evil.example", "http:///evil.example", "HTTPS://evil.example", "javascript:alert(1)", "data:text/html,x", "vbscript:x",
    "evil.example", "@evil.example", "", "?x", "#x", ".", "..", "../x", "./x", "/..//evil.example", "/.//evil.example", "/x/..//evil.example", "/../\\evil.example", "/./\\evil.example", "/x/../../x",
    "/\tevil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "/\r\n/evil.example", "/ /evil.example", " //evil.example", "\t//evil.example", "/\x00/evil.example", "/\x0b/evil.example", "/\x7f/evil.example",
    "/%09/evil.example", "/%0a/evil.example", "/%0d/evil.example", "/%0d%0aSet-Cookie:x=1", "/x\r\nSet-Cookie: x=1", "/%00", "/%20/evil.example",
    "/%2f/evil.example", "/%2fevil.example", "/%5cevil.example", "/%5c%5cevil.example", "/%2F%2Fevil.example", "/%252fevil.example", "/%252f%252fevil.example", "/%255cevil.example", "/%2509/evil.example", "/%250d%250aSet-Cookie:x",
    "%2f%2fevil.example", "%5c%5cevil.example", "/\u00a0/evil.example", "/\u2028/evil.example", "/\uff0fevil.example", "/\u3002evil.example", "/ｅvil",
    "/x#//evil.example", "/x#y", "/x\\y", "/x?y=\\evil.example", "/x?y=%5cevil.example", "/" + "x" * 2048,
    "/oauth2/start?rd=/x", "/oauth2/sign_out", "/oauth2/callback?code=x", "/oauth2", "/%6fauth2/sign_out", "/oauth2%2fsign_out", "/x/../oauth2/sign_out", "/./oauth2/sign_out",
]


@pytest.mark.parametrize("target", EVIL, ids=[repr(target)[:60] for target in EVIL])
def test_a_login_never_leads_elsewhere(shared_ada, target):
    response = shared_ada.navigate("/oauth2/start?rd=" + urllib.parse.quote(target, safe=""))
    assert response.status == 302 and response.get("location") == "/"


@pytest.mark.parametrize("start", ["rd=//evil.example&rd=/x", "rd=/x&rd=//evil.example", "rd", "RD=/x", "x=1", "rd=/x&" + "&".join(f"a{n}=1" for n in range(70))])
def test_an_unclear_target_is_the_start_page(shared_ada, start):
    assert shared_ada.navigate(f"/oauth2/start?{start}").get("location") == "/"


@pytest.mark.parametrize("target", ["/", "/flows", "/flows?next=https://evil.example", "/a-b/c?d=e%20f&g=%2Fh", "/a;b=c", "/oauth2x", "/x?y=//evil.example", "/" + "x" * 2047])
def test_a_target_on_this_host_is_kept_as_it_is(shared_ada, target):
    assert shared_ada.navigate("/oauth2/start?rd=" + urllib.parse.quote(target, safe="")).get("location") == target


@pytest.mark.parametrize("target", ["//evil.example/x", "/%2f/evil.example", "/\\evil.example", "/%09/evil.example", "/%5cevil.example"])
def test_a_page_that_is_asked_for_never_becomes_a_way_elsewhere(browser, target):
    """The request's own target, through the whole login; a path that is no path is refused at once."""
    response = browser.navigate(target)
    if response.status == 400:
        return
    if response.status == 308:
        assert response.get("location") == f"{ORIGIN}/evil.example/x"
        response = browser.navigate(target_of(response.get("location")))
    assert response.status == 302
    response = browser.come_back(browser.provider.answer(response.get("location")))
    location = response.get("location")
    assert location.startswith("/") and urllib.parse.urlsplit(urllib.parse.urljoin(ORIGIN + "/", location)).netloc == urllib.parse.urlsplit(ORIGIN).netloc
    assert not location.startswith(("//", "/\\"))


# --- Cookies


@pytest.mark.parametrize("change", ["first", "middle", "last", "cut", "longer", "empty", "doubled", "key", "count", "version"])
def test_a_session_cookie_that_was_changed_is_no_login(ada, change):
    value = ada.cookies[SESSION]

    def flipped(at: int) -> str:
        return value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]

    version, count, key, sealed = value.split(".", 3)
    made = {
        "first": flipped(len(value) - len(sealed)), "middle": flipped(len(value) - len(sealed) // 2), "last": flipped(len(value) - 1), "cut": value[:-4], "longer": value + "AAAA",
        "empty": "", "doubled": f"{value}; {SESSION}={value}", "key": ".".join([version, count, key[:-1] + ("A" if key[-1] != "A" else "B"), sealed]), "count": ".".join([version, "2", key, sealed]),
        "version": ".".join(["2", count, key, sealed]),
    }
    ada.cookies[SESSION] = made[change]
    response = ada.fetch("/")
    assert response.status == 401
    reason = {"middle": "login_not_authentic", "key": "login_key_unknown", "count": "login_incomplete"}
    assert change not in reason or ada.gateway.entry(response.get("x-request-id"))["auth"]["reason"] == reason[change], "the log says why"
    assert ada.navigate("/").status == 302


def test_a_value_is_good_under_its_own_name_only(ada):
    value = ada.cookies[SESSION]
    ada.cookies = {"__Host-gwtx-00000000": value, RECENT: value}
    assert ada.fetch("/").status == 401
    stranger = ada.copy()
    stranger.cookies = {}
    stranger.start_login()
    stranger.cookies = {SESSION: stranger.cookies[stranger.transactions[0]]}
    assert stranger.fetch("/").status == 401
    stranger.leave()


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [("theme=dark; {ours}; lang=en", "theme=dark; lang=en"), ("{ours}", None), ("{ours}; a=b", "a=b"), ("a=b;{ours}", "a=b"), ("a=b; __HOST-GWS=x; {ours}", "a=b"), ("a=\"q; {ours}; b=1", "a=\"q; b=1"), ("  {ours} ;a=b", "a=b")],
)
@pytest.mark.parametrize("prefix", ["", "/public"])
def test_our_cookies_never_reach_an_upstream(shared_ada, upstream: Upstream, path, prefix, sent, arrives):
    ours = "; ".join([shared_ada.cookie_field, "__Host-gwtx-01234567=x", "__Host-gwrecent=x", "__Host-gws.1=x", "__Host-gwout=1"])
    with shared_ada.gateway.client() as client:
        response = client.ask("GET", prefix + path, [*NAVIGATION, ("Cookie", sent.format(ours=ours))])
    assert response.status == 200
    assert upstream.seen(prefix + path)[0].get("cookie") == arrives


def test_several_cookie_fields_are_read_as_one(shared_ada, upstream, path):
    with shared_ada.gateway.client() as client:
        response = client.ask("GET", path, [*NAVIGATION, ("Cookie", "a=b"), ("Cookie", shared_ada.cookie_field), ("Cookie", "c=d")])
    assert response.status == 200
    assert "; ".join(upstream.seen(path)[0].all("cookie")) == "a=b; c=d"
    assert "__Host" not in upstream.seen(path)[0].head.decode()


def test_more_cookies_than_are_read_are_named_and_make_no_loop(shared_ada):
    many = "; ".join(f"c{number}=1" for number in range(70))
    with shared_ada.gateway.client() as client:
        response = client.ask("GET", "/", [*NAVIGATION, ("Cookie", f"{many}; {shared_ada.cookie_field}")])
        assert response.status == 431 and b"Too many cookies" in response.body
        response = client.ask("GET", "/", [*FETCH, ("Cookie", f"{many}; {shared_ada.cookie_field}")])
        assert response.status == 431 and response.json()["code"] == "too_many_cookies"


def test_the_login_is_never_told_by_strict_transport_security_on_localhost(browser, ada):
    for response in (browser.navigate("/oauth2/signed_out"), browser.fetch("/oauth2/session"), browser.navigate("/")):
        assert response.get("strict-transport-security") is None


# --- Loops (D15)


def test_a_login_that_is_lost_again_and_again_ends_with_a_page_that_says_why(browser):
    """A browser that takes every cookie but the session's."""
    starts = 0
    while True:
        response = browser.navigate("/lost")
        if response.status != 302:
            break
        starts += 1
        assert starts <= 6, "it goes in circles"
        response = browser.come_back(browser.provider.answer(response.get("location")))
        assert response.status == 302
        for name in SESSION_PARTS:
            browser.cookies.pop(name, None)
    assert starts == 5
    assert response.status == 400
    text = response.body.decode()
    assert "login_loop" in text and "did not come back" in text
    assert browser.cookies == {}, "the page clears what is left, for a fresh beginning"
    assert browser.navigate("/").status == 302


def test_a_loop_of_a_changed_cookie_is_told_apart(browser):
    for _ in range(8):
        response = browser.navigate("/lost")
        if response.status != 302:
            break
        browser.come_back(browser.provider.answer(response.get("location")))
        browser.cookies[SESSION] = browser.cookies[SESSION][:-8] + "AAAAAAAA"
    assert response.status == 400 and b"was changed on its way or belongs to another stage" in response.body


def test_many_tabs_that_start_at_once_are_no_loop(browser):
    for number in range(20):
        assert browser.navigate(f"/tab/{number}").status == 302
    assert len(browser.transactions) == 5


# --- What a provider can answer


def scripted_login(browser, scripted):
    return browser.come_back(scripted.callback(browser.start_login()))


def test_the_code_is_redeemed_with_everything_that_binds_it(scripted, start_login_gateway):
    browser = Browser(start_login_gateway(scripted))
    authorization = browser.start_login()
    assert browser.come_back(scripted.callback(authorization)).status == 302
    form, asked = scripted.forms[0], query(authorization)
    assert form["code"] == "code-1"
    assert (asked["code_challenge_method"], asked["code_challenge"]) == ("S256", base64url(sha256(form["code_verifier"].encode()).digest()))
    assert form["grant_type"] == "authorization_code" and form["redirect_uri"] == f"{ORIGIN}/oauth2/callback" and len(form["code_verifier"]) == 43
    assert scripted.basic == ["local-browser-client:local-browser-development-secret"]
    browser.leave()


def without(name):
    return lambda tokens: {key: value for key, value in tokens.items() if key != name}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: setattr(p, "changes", {"nonce": "another"}), "nonce_mismatch"),
        (lambda p: setattr(p, "changes", {"nonce": None}), "nonce_mismatch"),
        (lambda p: setattr(p, "changes", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "at_hash_mismatch"),
        (lambda p: setattr(p, "changes", {"at_hash": None}), "at_hash_mismatch"),
        (lambda p: setattr(p, "access_changes", {"sub": "somebody else"}), "subject_mismatch"),
        (lambda p: setattr(p, "changes", {"aud": "another-client"}), "client_not_allowed"),
        (lambda p: setattr(p, "access_changes", {"client_id": "another-client"}), "client_not_allowed"),
        (lambda p: setattr(p, "changes", {"exp": 1}), "token_expired"),
        (lambda p: setattr(p, "changes", {"iss": "https://evil.example"}), "issuer_not_allowed"),
        (lambda p: setattr(p, "after", without("id_token")), "id_token_missing"),
        (lambda p: setattr(p, "after", without("access_token")), "token_answer_malformed"),
        (lambda p: setattr(p, "after", lambda tokens: tokens | {"token_type": "mac"}), "token_answer_malformed"),
        (lambda p: setattr(p, "after", lambda tokens: tokens | {"id_token": tokens["access_token"]}), None),
        (lambda p: setattr(p, "after", lambda tokens: tokens | {"id_token": tokens["id_token"][:-8] + "AAAAAAAA"}), None),
        (lambda p: setattr(p, "answer", lambda form: (400, b'{"error":"invalid_client"}')), "token_request_refused"),
        (lambda p: setattr(p, "answer", lambda form: (400, b'{"error":"invalid_grant"}')), "code_refused"),
        (lambda p: setattr(p, "answer", lambda form: (200, b"<html>")), "token_answer_malformed"),
        (lambda p: setattr(p, "answer", lambda form: (200, b"x" * 600_000)), "token_answer_malformed"),
        (lambda p: setattr(p, "answer", lambda form: (302, b"{}")), "token_answer_malformed"),
    ],
    ids=["nonce", "no nonce", "at_hash", "no at_hash", "access token of somebody else", "audience", "client", "expired", "issuer", "no ID token", "no access token", "token type", "access token as ID token", "signature", "client refused", "grant refused", "a page", "too long", "redirect"],
)
def test_what_a_provider_answers_is_believed_only_whole(scripted, start_login_gateway, change, code):
    browser = Browser(start_login_gateway(scripted))
    change(scripted)
    response = scripted_login(browser, scripted)
    assert response.status in (400, 502) and not browser.has_session
    if code:
        assert f"<dd>{code}</dd>" in response.body.decode(), response.body.decode()
    browser.leave()


@pytest.mark.parametrize(("others", "status"), [(0, 302), (1, 502)], ids=["one key", "two keys"])
def test_a_provider_may_leave_its_keys_name_out_while_it_has_one(scripted, start_login_gateway, others, status):
    """OpenID Connect Core §10.1."""
    scripted.other_keys = [Key(f"other-{number}") for number in range(others)]
    scripted.header = {"kid": None}
    browser = Browser(start_login_gateway(scripted))
    assert scripted_login(browser, scripted).status == status
    browser.leave()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_cannot_now_is_a_503_page(scripted, start_login_gateway, status):
    browser = Browser(start_login_gateway(scripted))
    scripted.answer = lambda form: (status, b"{}")
    response = scripted_login(browser, scripted)
    assert response.status == 503 and int(response.get("retry-after")) >= 1 and not browser.has_session
    browser.leave()


def test_a_person_in_many_long_groups_is_let_in_and_nothing_grows_too_long(scripted, start_login_gateway, upstream, path):
    """200 groups of 900 bytes: the tokens are hundreds of kilobytes, the cookies never."""
    def policies(made):
        made["stages"][0]["routes"][0]["policy"] = {"groups": ["science"]}

    browser = Browser(start_login_gateway(scripted, change=policies))
    groups = ["science"] + [f"group-{number}-" + "g" * 890 for number in range(199)]
    scripted.changes = {"cognito:groups": groups}
    response = scripted_login(browser, scripted)
    assert response.status == 302, response.body
    assert len(scripted.forms) == 1
    sizes = [len(line) for line in response.all("set-cookie")]
    assert max(sizes) <= 4096
    response = browser.navigate(path)
    assert response.status == 200
    request = upstream.seen(path)[0]
    assert request.get("x-auth-groups") == "science" and len(request.head) < 4096
    who = browser.who()
    assert who["groups"] == ["science"]
    browser.leave()


def test_a_session_of_three_parts_and_five_transactions_pass_together(scripted, start_login_gateway, upstream, path):
    browser = Browser(start_login_gateway(scripted))
    scripted.changes = {"cognito:groups": [f"g{number:03}-" + "x" * 40 for number in range(170)]}
    for number in range(5):
        last = browser.start_login(f"/tab/{number}?" + "x" * 900)
    transactions = {name: browser.cookies[name] for name in browser.transactions}
    response = browser.come_back(scripted.callback(last))
    assert response.status == 302, response.body
    assert [name for name in SESSION_PARTS if name in browser.cookies] == SESSION_PARTS
    browser.cookies |= transactions
    field = len(browser.cookie_field)
    assert 12 * 1024 < field < 24 * 1024, field
    assert len(browser.who()["groups"]) == 170
    assert browser.navigate(path).status == 200
    assert upstream.seen(path)[0].get("cookie") is None
    # A part that is lost is no login, and not half a one.
    del browser.cookies[SESSION_PARTS[1]]
    assert browser.fetch(path).status == 401
    browser.leave()


def test_a_callback_whose_person_left_harms_nobody(scripted, start_login_gateway):
    gateway = start_login_gateway(scripted)
    arrived, go_on = threading.Event(), threading.Event()

    def waits(form):
        arrived.set()
        go_on.wait(20)
        return 200, json.dumps(scripted.tokens(form)).encode()

    scripted.answer = waits
    browser = Browser(gateway)
    browser.request("GET", target_of(scripted.callback(browser.start_login())))
    assert arrived.wait(20)
    browser._client.reset()
    browser._client = None
    go_on.set()
    other = Browser(gateway)
    assert other.come_back(scripted.callback(other.start_login(), "code-2")).status == 302
    assert gateway.process.poll() is None
    other.leave()
