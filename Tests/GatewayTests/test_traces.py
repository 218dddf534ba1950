"""Which trace a request belongs to (E4): callers whom the listener trusts go on with theirs, everybody else's request begins one."""

import re

import pytest
from conftest import FORWARDED, PEER, PROXY
from test_proxy_protocol import header, ipv4
from wire import Client

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]")


def sent(gateway, upstream, path, listener, fields, *, first=b""):
    """What the upstream got, and the line in the log."""
    with gateway.client(listener, first=first) as client:
        response = client.ask("GET", path, fields)
    assert response.status == 200
    received = upstream.wait_for(path)
    trace, span = FORM.fullmatch(received.get("traceparent")).groups()
    entry = gateway.entry(response.get("x-request-id"))
    assert (entry["trace_id"], entry["span_id"]) == (trace, span), "the log and the upstream name one trace"
    assert int(trace, 16) and int(span, 16)
    return received, trace, span


def test_a_trusted_caller_goes_on_with_its_trace_and_the_gateways_span_is_the_next_parent(gateway, upstream, path):
    states = [("tracestate", "congo=t61rcWkgMzE"), ("TraceState", "rojo=00f067aa0ba902b7")]
    received, trace, span = sent(gateway, upstream, path, FORWARDED, [("traceparent", PARENT), *states])
    assert trace == TRACE and span != SPAN
    assert received.get("traceparent").endswith("-01")
    assert received.all("tracestate") == [value for _, value in states]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("traceparent", PARENT.upper())],
        [("traceparent", PARENT + "-more")],
        [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
        [("traceparent", PARENT), ("traceparent", PARENT)],
        [("traceparent", PARENT), ("connection", "traceparent")],
        [("traceparent", "")],
    ],
    ids=["none", "upper case", "too long", "zero trace", "two", "hop by hop", "empty"],
)
def test_a_trace_that_cannot_be_read_begins_anew_without_its_state(gateway, upstream, path, fields):
    received, trace, _ = sent(gateway, upstream, path, FORWARDED, [*fields, ("tracestate", "congo=t61rcWkgMzE")])
    assert trace != TRACE and received.all("tracestate") == []


def test_the_trace_of_a_caller_that_nobody_trusts_begins_anew(gateway, upstream, path):
    received, trace, _ = sent(gateway, upstream, path, PEER, [("traceparent", PARENT), ("tracestate", "congo=t61rcWkgMzE")])
    assert trace != TRACE and received.all("tracestate") == []


@pytest.mark.parametrize("source, goes_on", [("203.0.113.7", True), ("198.51.100.7", False)])
def test_behind_a_load_balancer_the_client_must_be_trusted_and_not_the_load_balancer(gateway, upstream, path, source, goes_on):
    _, trace, _ = sent(gateway, upstream, path, PROXY, [("traceparent", PARENT)], first=header(body=ipv4(source)))
    assert (trace == TRACE) == goes_on


def test_each_request_of_a_connection_has_a_trace_of_its_own(gateway, upstream, path):
    with gateway.client() as client:
        for _ in range(3):
            assert client.ask("GET", path).status == 200
    traces = {FORM.fullmatch(received.get("traceparent"))[1] for received in upstream.seen(path)}
    assert len(traces) == 3
