"""What Prometheus fetches (E6): names, labels and counts, read by Prometheus' own parser."""

import re

import pytest
from conftest import POOL
from gateway import eventually
from prometheus_client.parser import text_string_to_metric_families
from wire import Client

COUNTED = ("gw_requests_total", "gw_auth_decisions_total", "gw_upstream_requests_total")


def families(gateway) -> dict:
    return {family.name: family for family in text_string_to_metric_families(gateway.exposition())}


def count(gateway, name: str, **labels: str) -> float:
    return sum(sample.value for family in families(gateway).values() for sample in family.samples if sample.name == name and labels.items() <= sample.labels.items())


def test_the_exposition_is_well_formed_and_says_what_each_family_means(gateway):
    gateway.ask("GET", "/open/x")
    text = gateway.exposition()
    read = list(text_string_to_metric_families(text))
    assert len(read) >= 40
    assert len({family.name for family in read}) == len(read)
    for family in read:
        assert re.fullmatch(r"(gw|process)_[a-z0-9_]+", family.name)
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(seen)) == len(seen), f"{family.name} has a sample twice"
        if family.type == "counter":
            assert f"# TYPE {family.name}_total counter" in text


def test_a_request_counts_once_with_its_route_method_class_and_flag(start, surroundings, provider, bearer):
    gateway = start(surroundings.configuration(routes=[
        {"path": "/", "upstream": "main", "public": "tests"}, {"path": "/secure", "upstream": "main", "credentials": ["bearer"]},
        {"path": "/dead", "upstream": "dead", "failures": "metaflow", "public": "tests"},
    ], upstreams={"dead": {"endpoints": [f"http://127.0.0.1:{surroundings.refusing_port}"]}}))
    listener = "127.0.0.1:0"
    for _ in range(3):
        gateway.ask("GET", "/open/x")
    gateway.ask("POST", "/secure/x", body=b"{}")
    gateway.ask("GET", "/secure/x", bearer())
    gateway.ask("GET", "/a%2Fb")
    gateway.ask("GET", "/dead/x")
    want = {
        ("/", "GET", "2xx", "none"): 3, ("/secure", "POST", "4xx", "JW"): 1, ("/secure", "GET", "2xx", "none"): 1, ("", "GET", "4xx", "CB"): 1,
        ("/dead", "GET", "5xx", "UF"): 1,
    }

    def counts() -> dict:
        return {
            (s.labels["route"], s.labels["method"], s.labels["code_class"], s.labels["flag"]): s.value
            for s in families(gateway)["gw_requests"].samples if s.labels["listener"] == listener and s.labels["stage"] == "first"
        }

    # The exchange's last word follows its answer.
    found = eventually(lambda: (c := counts()) and sum(c.values()) >= sum(want.values()) and c, "all requests to be counted")
    assert found == want
    assert count(gateway, "gw_request_duration_seconds_count", stage="first") == 7
    assert count(gateway, "gw_request_duration_seconds_bucket", stage="first", le="+Inf") == 7
    assert count(gateway, "gw_upstream_requests_total", stage="first", upstream="main", code_class="2xx") == 4
    assert count(gateway, "gw_upstream_failures_total", stage="first", upstream="dead", reason="upstream_connect_failed") >= 1
    assert count(gateway, "gw_auth_decisions_total", stage="first", method="bearer", result="allowed", reason="none") == 1
    assert count(gateway, "gw_auth_decisions_total", stage="first", result="refused") == 1
    assert count(gateway, "gw_requests_active") == 0


def test_no_label_comes_from_a_client(gateway):
    marks = ["zz-method", "zz-path", "zz-host", "zz-agent"]
    gateway.ask("GET", "/open/zz-path?zz-query", [("User-Agent", "zz-agent")])
    gateway.ask("GET", "/zz-path")
    gateway.ask("GET", "/open/x", host="zz-host.localhost")
    with gateway.client() as client:
        client.send(b"ZZ-METHOD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.response()
    text = gateway.exposition().lower()
    assert [mark for mark in marks if mark in text] == []


def test_what_is_counted_goes_on_over_reloads(start, surroundings):
    configuration = surroundings.configuration()
    gateway = start(configuration)
    gateway.ask("GET", "/open/x")
    configuration["stages"][0]["routes"].insert(0, {"path": "/new", "respond": 410})
    gateway.write(configuration)
    assert gateway.command("reload").returncode == 0
    gateway.ask("GET", "/open/x")
    gateway.ask("GET", "/new")
    eventually(lambda: count(gateway, "gw_requests_total", route="/", code_class="2xx") == 2, "both requests under one name")
    eventually(lambda: count(gateway, "gw_requests_total", route="/new", code_class="4xx") == 1, "the new route")
    assert count(gateway, "gw_config_reload_total", result="accepted") == 1


def test_states_are_gauges(start, surroundings):
    gateway = start(surroundings.configuration())
    with gateway.client() as client:
        client.ask("GET", "/open/x")
        eventually(lambda: count(gateway, "gw_conn_open") >= 1, "the connection")
        assert count(gateway, "gw_tls_handshakes_total", result="succeeded") >= 1
    eventually(lambda: count(gateway, "gw_conn_open") == 0, "its end")
    found = families(gateway)
    issuer = f"{surroundings.provider.endpoint}/{POOL}"
    assert count(gateway, "gw_jwks_keys", issuer=issuer) >= 1
    assert count(gateway, "gw_jwks_fetch_total", issuer=issuer, result="succeeded") >= 1
    assert 0 <= count(gateway, "gw_jwks_age_seconds", issuer=issuer) < 60
    assert count(gateway, "gw_ready") == 1 and count(gateway, "gw_draining") == 0
    assert count(gateway, "gw_upstream_endpoint_up", stage="first", upstream="main") == 1
    certificate = found["gw_tls_cert_not_after_seconds"].samples
    assert [sample.labels["certificate"] for sample in certificate] == ["localhost"]
    assert certificate[0].value > found["gw_config_last_success_timestamp_seconds"].samples[0].value
    assert count(gateway, "process_resident_memory_bytes") > 1 << 20
    assert count(gateway, "process_open_fds") > 5


@pytest.mark.parametrize("method, target, status", [("GET", "/metrics", 200), ("HEAD", "/metrics", 200), ("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/status", 404), ("POST", "/reload", 405)])
def test_the_metrics_port_answers_get_metrics_and_nothing_else(gateway, method, target, status):
    with Client(gateway.port("admin.metrics_address")) as client:
        assert client.ask(method, target).status == status
