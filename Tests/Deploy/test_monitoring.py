"""Alerts and dashboard: what they name is what the gateway exposes, and each alert rings when it should and not before."""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time

import pytest
import yaml

import prometheus
from templates import ROOT, STAGES, parameters, with_wheel

COMPONENT = ROOT / "deploy" / "kubernetes" / "components" / "monitoring"
RULES = yaml.safe_load((COMPONENT / "alerts.yaml").read_text())["spec"]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((COMPONENT / "metaflow-gateway.json").read_text())
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
GATEWAY = os.environ.get("METAFLOW_GATEWAY")
needs_promtool = pytest.mark.skipif(not prometheus.promtool(), reason="promtool is missing: the alerts were NOT tried")
needs_gateway = pytest.mark.skipif(not GATEWAY, reason="METAFLOW_GATEWAY names no built gateway: its metrics were NOT compared with alerts and dashboard")


def expressions():
    """(where it stands, the expression) of every one in alerts and dashboard."""
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield f'{panel["title"]} {target["refId"]}', target["expr"]
    for each in DASHBOARD["annotations"]["list"]:
        if "expr" in each:
            yield each["name"], each["expr"]
    for each in DASHBOARD["templating"]["list"]:
        if each["type"] == "query":
            yield f'variable {each["name"]}', re.fullmatch(r"label_values\((.+), \w+\)", each["definition"]).group(1)


# ---- What the gateway exposes ---------------------------------------------------------------------------------------------------


def free_ports(number):
    """Ports that nobody has, each another, since all are held until the last is found."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    """(families, labels of each that has samples) of a gateway that has answered a few requests."""
    from prometheus_client.parser import text_string_to_metric_families
    folder = tmp_path_factory.mktemp("gateway")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-keyout", folder / "key.pem",
                    "-out", folder / "chain.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    (folder / "secret").write_text("secret")
    stage = yaml.safe_load(with_wheel((ROOT / "config" / "stages" / "alpha.yaml").read_text(), folder))
    stage |= {"host": "localhost", "public_url": "https://localhost"}
    tls, health, metrics, provider, upstream_port = free_ports(5)
    # Nobody answers at the last two, which is all that is needed: neither keys nor upstreams.
    stage["identity"]["cognito"] |= {"endpoint": f"http://127.0.0.1:{provider}", "domain": f"http://127.0.0.1:{provider}"}
    stage["identity"]["browser_client"]["secret"] = {"file": "secret"}
    for upstream in stage["upstreams"].values():
        upstream["endpoints"] = [f"http://127.0.0.1:{upstream_port}"]
    stage["routes"].insert(0, {"path": "/open", "upstream": "ui", "public": "so that an upstream is asked"})
    for name in ("METAFLOW_SERVICE_URL", "METAFLOW_UI_URL"):
        stage["command_line_api"]["settings"].pop(name, None)
    (folder / "stage.yaml").write_text(yaml.safe_dump(stage))
    (folder / "gateway.yaml").write_text(yaml.safe_dump({
        "listeners": [{"address": f"127.0.0.1:{tls}", "tls": {"certificates": [{"chain": "chain.pem", "key": "key.pem"}]}, "public_port": 443}],
        "health": {"address": f"127.0.0.1:{health}"}, "admin": {"socket": str(folder / "admin.sock"), "metrics_address": f"127.0.0.1:{metrics}"},
        "access_log": {"path": str(folder / "access.log")}, "state_directory": str(folder), "event_loops": 1, "stages": ["stage.yaml"]}))
    with open(folder / "output", "w") as output:
        process = subprocess.Popen([GATEWAY, "serve", "--config", folder / "gateway.yaml"], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", tls), 1).close()
                socket.create_connection(("127.0.0.1", metrics), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "output").read_text()[-3000:]
                time.sleep(0.1)
        context = ssl.create_default_context(cafile=folder / "chain.pem")
        connection = http.client.HTTPSConnection("localhost", tls, context=context, timeout=30)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", tls), 30), server_hostname="localhost")
        for path, headers in (("/api/metadata/flows", {}), ("/api/metadata/flows", {"Authorization": "Bearer not.a.token"}), ("/open", {}), ("/nowhere", {"Accept": "text/html"})):
            connection.request("GET", path, headers={"Host": "localhost"} | headers)
            connection.getresponse().read()
        connection.close()
        # Each is counted soon after its answer.
        text, deadline = "", time.monotonic() + 30
        while sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("gw_requests_total{")) < 4 and time.monotonic() < deadline:
            local = http.client.HTTPConnection("127.0.0.1", metrics, timeout=10)
            local.request("GET", "/metrics")
            text = local.getresponse().read().decode()
            local.close()
            time.sleep(0.1)
    finally:
        process.send_signal(2)
        process.wait(30)
    families = list(text_string_to_metric_families(text))
    # The parser takes _total off a counter's family.
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    known = {}
    for family in families:
        for sample in family.samples:
            known.setdefault(prometheus.metrics(sample.name).pop() if prometheus.metrics(sample.name) else sample.name, set()).update(sample.labels)
    return names, known


@needs_gateway
def test_every_metric_in_alerts_and_dashboard_is_one_that_the_gateway_exposes(exposed):
    names, _ = exposed
    unknown = {(where, name) for where, expression in expressions() for name in prometheus.metrics(expression) - prometheus.OF_PROMETHEUS - names}
    assert not unknown


@needs_gateway
def test_every_label_in_alerts_and_dashboard_is_one_that_its_metric_has(exposed):
    _, known = exposed
    seen = 0
    for where, expression in expressions():
        selectors, grouped = prometheus.labels(expression)
        for name, wanted in selectors:
            if name in known:
                assert wanted <= known[name] | prometheus.TARGET_LABELS, f"{where}: {name}"
                seen += 1
        families = [known[name] for name in prometheus.metrics(expression) if name in known]
        if families and len(families) == len(prometheus.metrics(expression)):
            assert grouped <= set.union(*families) | prometheus.TARGET_LABELS, where
    assert seen > 30


@needs_gateway
def test_no_label_of_the_gateway_s_own_is_renamed_on_its_way(exposed):
    _, known = exposed
    endpoint, = yaml.safe_load((COMPONENT / "pod-monitor.yaml").read_text())["spec"]["podMetricsEndpoints"]
    shared = set.union(*known.values()) & prometheus.ADDED_LABELS
    assert not shared or endpoint["honorLabels"] is True, f"{shared} would arrive as exported_…"
    assert shared <= {"endpoint"}, "what tells pods apart must stay Prometheus' own"


@needs_gateway
def test_nothing_that_the_gateway_exposes_is_left_unseen(exposed):
    names, _ = exposed
    shown = {name for _, expression in expressions() for name in prometheus.metrics(expression)}
    unseen = {name for name in names if name.startswith("gw_")} - shown - {"gw_build_info"}
    assert not unseen, "a panel or an alert for each"


# ---- The alerts ------------------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_reads_every_rule(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    done = prometheus.run("check", "rules", tmp_path / "rules.yaml")
    assert done.returncode == 0 and f"{len(ALERTS)} rules found" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_what_and_what_to_do(name):
    rule = ALERTS[name]
    assert name.startswith("Gateway") and rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook"} == rule["annotations"].keys()
    for text in rule["annotations"].values():
        assert len(text) > 25 and "\n" not in text.strip()
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    if re.search(r"\b(sum|min|max|avg|count)\b", rule["expr"]):
        assert used <= prometheus.labels(rule["expr"])[1], "a label that the expression sums away prints as nothing"


JOB = 'job="metaflow-gateway/gateway"'
DAY = 86400
# (alerts that ring, at this time, over these series). Series are sampled each minute: `0+5x60` is 0, 5, 10 … for an hour.
CASES = [
    ((), "20m", {'gw_ready{pod="a"}': "1x60", 'gw_ready{pod="b"}': "1x60", f'up{{pod="a", {JOB}}}': "1x60"}),
    (("GatewayNoneReady",), "5m", {'gw_ready{pod="a"}': "0x60"}),
    (("GatewayNoneReady",), "5m", {}),
    (("GatewayOneReady",), "20m", {'gw_ready{pod="a"}': "1x60", 'gw_ready{pod="b"}': "0x60"}),
    (("GatewayNotMeasured",), "10m", {f'up{{pod="a", {JOB}}}': "0x60"}),
    ((), "10m", {'up{pod="a", job="other"}': "0x60"}),
    (("GatewayRestarts",), "20m", {f'process_start_time_seconds{{pod="a", {JOB}}}': "1x4 2x4 3x4 4x60"}),
    ((), "20m", {f'process_start_time_seconds{{pod="a", {JOB}}}': "1x4 2x60"}),
    (("GatewayStuckDraining",), "15m", {'gw_draining{pod="a"}': "1x60"}),
    ((), "8m", {'gw_draining{pod="a"}': "1x60"}),
    # 5 % of 100 requests a minute.
    (("GatewayErrorsFast", "GatewayErrorsSlow"), "70m", {'gw_requests_total{stage="alpha", code_class="5xx"}': "0+5x120", 'gw_requests_total{stage="alpha", code_class="2xx"}': "0+95x120"}),
    # 1 %: slow, not fast.
    (("GatewayErrorsSlow",), "7h", {'gw_requests_total{stage="alpha", code_class="5xx"}': "0+1x500", 'gw_requests_total{stage="alpha", code_class="2xx"}': "0+99x500"}),
    # 0.1 %, and a handful of requests of which one failed.
    ((), "7h", {'gw_requests_total{stage="alpha", code_class="5xx"}': "0+1x500", 'gw_requests_total{stage="alpha", code_class="2xx"}': "0+999x500"}),
    ((), "70m", {'gw_requests_total{stage="alpha", code_class="5xx"}': "0x60 1x60", 'gw_requests_total{stage="alpha", code_class="2xx"}': "0x60 2x60"}),
    # A client's fault is none of ours.
    ((), "70m", {'gw_requests_total{stage="alpha", code_class="4xx"}': "0+50x120", 'gw_requests_total{stage="alpha", code_class="2xx"}': "0+50x120"}),
    (("GatewaySlow",), "30m", {'gw_request_duration_seconds_bucket{stage="alpha", le="5"}': "0+90x60", 'gw_request_duration_seconds_bucket{stage="alpha", le="10"}': "0+100x60",
                               'gw_request_duration_seconds_bucket{stage="alpha", le="+Inf"}': "0+100x60", 'gw_request_duration_seconds_count{stage="alpha"}': "0+100x60"}),
    ((), "30m", {'gw_request_duration_seconds_bucket{stage="alpha", le="5"}': "0+100x60", 'gw_request_duration_seconds_bucket{stage="alpha", le="10"}': "0+100x60",
                 'gw_request_duration_seconds_bucket{stage="alpha", le="+Inf"}': "0+100x60", 'gw_request_duration_seconds_count{stage="alpha"}': "0+100x60"}),
    (("GatewayUpstreamGone", "GatewayUpstreamEjected"), "10m", {f'gw_upstream_endpoint_up{{stage="alpha", upstream="metadata", endpoint="{each}", pod="a"}}': "0x60" for each in "12"}),
    (("GatewayUpstreamEjected",), "10m", {f'gw_upstream_endpoint_up{{stage="alpha", upstream="metadata", endpoint="{each}", pod="a"}}': f"{up}x60" for each, up in (("1", 0), ("2", 1))}),
    # One gateway of three cannot reach it: that is the gateway's affair, or a moment's.
    ((), "10m", {f'gw_upstream_endpoint_up{{stage="alpha", upstream="metadata", endpoint="1", pod="{pod}"}}': f"{up}x60" for pod, up in (("a", 0), ("b", 1), ("c", 1))}),
    (("GatewayOverloaded",), "15m", {'gw_overload_refused_total{limit="connections", pod="a"}': "0+5x60"}),
    # A client over its own rate is refused as it should be.
    ((), "15m", {'gw_overload_refused_total{limit="rate", pod="a"}': "0+50x60"}),
    (("GatewayConnectionsNearLimit",), "10m", {'gw_conn_open{pod="a"}': "16001x60"}),
    (("GatewayConnectionsNearLimit",), "10m", {f'process_open_fds{{pod="a", {JOB}}}': "900x60", f'process_max_fds{{pod="a", {JOB}}}': "1024x60"}),
    (("GatewayNoKeys",), "5m", {'gw_jwks_keys{issuer="i", pod="a"}': "0x60", 'gw_jwks_keys{issuer="i", pod="b"}': "2x60"}),
    ((), "30m", {'gw_jwks_age_seconds{issuer="i", pod="a"}': "900x60"}),
    (("GatewayKeySetAged",), "30m", {'gw_jwks_age_seconds{issuer="i", pod="a"}': "3700+60x60"}),
    (("GatewayKeySetAged", "GatewayKeySetEnds"), "30m", {'gw_jwks_age_seconds{issuer="i", pod="a"}': "70000+60x60"}),
    (("GatewayRefreshFails",), "30m", {'gw_oidc_refresh_total{result="failed"}': "0+1x60", 'gw_oidc_refresh_total{result="succeeded"}': "0+1x60", 'gw_oidc_refresh_total{result="shared"}': "0+9x60"}),
    ((), "30m", {'gw_oidc_refresh_total{result="failed"}': "0+1x60", 'gw_oidc_refresh_total{result="succeeded"}': "0+9x60"}),
    (("GatewayLoginFails",), "30m", {'gw_oidc_redemptions_total{result="failed"}': "0+2x60", 'gw_oidc_redemptions_total{result="succeeded"}': "0+1x60"}),
    ((), "30m", {'gw_oidc_redemptions_total{result="failed"}': "0+1x60", 'gw_oidc_redemptions_total{result="succeeded"}': "0+2x60"}),
    # promtool's clock begins at 0, so the end in seconds is the time that is left.
    ((), "20m", {'gw_tls_cert_not_after_seconds{certificate="a"}': f"{31 * DAY}x60"}),
    (("GatewayCertificateEndsIn30Days",), "20m", {'gw_tls_cert_not_after_seconds{certificate="a"}': f"{29 * DAY}x60"}),
    (("GatewayCertificateEndsIn7Days",), "20m", {'gw_tls_cert_not_after_seconds{certificate="a"}': f"{6 * DAY}x60"}),
    (("GatewayCertificateEndsToday",), "20m", {'gw_tls_cert_not_after_seconds{certificate="a"}': f"{DAY // 2}x60"}),
    (("GatewayCertificateEndsToday",), "20m", {'gw_tls_cert_not_after_seconds{certificate="a"}': "60x60"}),
    (("GatewayCertificateRefused",), "20m", {'gw_tls_cert_reload_total{result="rejected", pod="a"}': "0x10 1x60", 'gw_tls_cert_reload_total{result="accepted", pod="a"}': "0x60"}),
    ((), "20m", {'gw_tls_cert_reload_total{result="rejected", pod="a"}': "0x60", 'gw_tls_cert_reload_total{result="accepted", pod="a"}': "0x10 1x60"}),
    (("GatewayHandshakesFail",), "30m", {'gw_tls_handshakes_total{result="failed"}': "0+120x60", 'gw_tls_handshakes_total{result="succeeded"}': "0+60x60"}),
    ((), "30m", {'gw_tls_handshakes_total{result="failed"}': "0+6x60", 'gw_tls_handshakes_total{result="succeeded"}': "0+3x60"}),
    (("GatewayProxyProtocolRefused",), "30m", {'gw_conn_proxy_protocol_refused_total{pod="a"}': "0+2x60"}),
    (("GatewayReloadRefused",), "5m", {'gw_config_last_reload_successful{pod="a"}': "0x60"}),
    ((), "5m", {'gw_config_last_reload_successful{pod="a"}': "1x60"}),
    (("GatewayRevocationFileRefused",), "5m", {'gw_revocation_file_ok{pod="a"}': "0x60"}),
    ((), "5m", {'gw_revocation_file_ok{pod="a"}': "1x60"}),
    (("GatewayConfigurationsDiffer",), "20m", {'gw_config_version_info{version="1", pod="a"}': "1x60", 'gw_config_version_info{version="2", pod="b"}': "1x60"}),
    # Files reach the pods within a minute or two of each other.
    ((), "10m", {'gw_config_version_info{version="1", pod="a"}': "1x60", 'gw_config_version_info{version="2", pod="b"}': "1x60"}),
    (("GatewayLogDropped",), "20m", {'gw_log_dropped_total{pod="a"}': "0x15 3x60"}),
]


@needs_promtool
def test_each_alert_rings_when_it_should_and_no_other_with_it(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    tests = []
    for number, (ringing, when, given) in enumerate(CASES):
        quiet = {} if "GatewayNoneReady" in ringing or any("gw_ready" in name for name in given) else {f'gw_ready{{pod="{pod}"}}': "1x600" for pod in "xy"}
        tests.append({"name": f"case {number}: {', '.join(ringing) or 'nothing'} at {when}", "interval": "1m", "input_series": [{"series": name, "values": values} for name, values in (given | quiet).items()], "promql_expr_test": [{
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": when,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 2 if name == "GatewayUpstreamEjected" and "GatewayUpstreamGone" in ringing else 1} for name in ringing]}]})
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}, sort_keys=False))
    done = prometheus.run("test", "rules", tmp_path / "tests.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_each_alert_is_tried_ringing():
    assert {name for ringing, _, _ in CASES for name in ringing} == set(ALERTS)


def test_the_alerts_limits_are_the_configuration_s():
    limits = yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text())["limits"]
    assert f"gw_conn_open > {limits['connections'] * 8 // 10} " in ALERTS["GatewayConnectionsNearLimit"]["expr"]
    assert f"({limits['connections']})" in ALERTS["GatewayConnectionsNearLimit"]["annotations"]["description"]


# ---- The dashboard --------------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_reads_every_expression_of_the_dashboard(tmp_path):
    rules = [{"record": f"expression:{number}", "expr": prometheus.expand(expression)} for number, (_, expression) in enumerate(expressions())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = prometheus.run("check", "rules", tmp_path / "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_are_of_kinds_that_grafana_still_has():
    # graph, singlestat, table-old and heatmap's first form went with Grafana 11.
    assert {each["type"] for each in PANELS} <= {"timeseries", "stat", "table", "heatmap", "state-timeline", "bargauge"}
    assert DASHBOARD["schemaVersion"] >= 39 and DASHBOARD["uid"] == "metaflow-gateway"


def test_panels_neither_overlap_nor_share_a_number():
    numbers = [each["id"] for each in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = set()
    for each in DASHBOARD["panels"]:
        at = each["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, each["title"]
        taken |= cells


def test_each_panel_has_a_unit_and_asks_the_chosen_prometheus():
    for each in PANELS:
        for part in (each, *each["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, each["title"]
        if each["type"] in ("timeseries", "stat", "state-timeline"):
            assert each["fieldConfig"]["defaults"]["unit"] in ("none", "s", "d", "reqps", "ops", "cps", "percentunit", "bytes"), each["title"]


def test_each_panel_can_be_narrowed_to_a_stage_or_a_pod():
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "stage", "pod"]
    assert "$stage" in variables["pod"]["definition"], "the pods of the chosen stages"
    for where, expression in expressions():
        if where in ALERTS or where.startswith("variable"):
            continue
        for selector in re.findall(r"\bgw_[a-z0-9_]+(\{[^}]*\})?", expression):
            assert 'pod=~"$pod"' in selector, where


def test_numbers_of_the_dashboard_are_those_of_the_alerts():
    thresholds = {each["title"]: [step["value"] for step in each["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]] for each in PANELS if each["type"] == "stat"}
    assert thresholds["Server errors"] == [0.006, 0.0144] and all(f"> {value}" in ALERTS[name]["expr"] for value, name in ((0.006, "GatewayErrorsSlow"), (0.0144, "GatewayErrorsFast")))
    assert thresholds["Slowest hundredth"][-1] == 5 and "> 5\n" in ALERTS["GatewaySlow"]["expr"]
    assert thresholds["Certificate ends in"] == [1, 7, 30]
    assert thresholds["Key set confirmed"][-1] == 3600 and "> 3600" in ALERTS["GatewayKeySetAged"]["expr"]


# ---- In the cluster ---------------------------------------------------------------------------------------------------------------


def test_each_stage_has_them(objects):
    rules = objects.one("PrometheusRule", "gateway", "metaflow-gateway")
    assert rules["spec"] == RULES
    dashboard = objects.one("ConfigMap", "gateway-dashboard", "monitoring")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["metaflow-gateway.json"]) == DASHBOARD


def test_the_pods_are_measured_at_the_port_that_they_open(objects):
    monitor = objects.one("PodMonitor", "gateway", "metaflow-gateway")["spec"]
    pod = objects.one("Deployment", "gateway")["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    endpoint, = monitor["podMetricsEndpoints"]
    assert {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0]["ports"]}[endpoint["port"]] == 9090 and endpoint["path"] == "/metrics"


def test_prometheus_takes_monitors_and_rules_of_every_namespace():
    values = yaml.safe_load((ROOT / "deploy/kubernetes/charts/prometheus.yaml").read_text())
    wanted = values["prometheus"]["prometheusSpec"]
    assert wanted["ruleSelectorNilUsesHelmValues"] is wanted["podMonitorSelectorNilUsesHelmValues"] is False
    row, = (line.split() for line in (ROOT / "deploy/kubernetes/charts/versions.txt").read_text().splitlines() if line.startswith("prometheus "))
    assert row[1:3] == ["monitoring", "kube-prometheus-stack"]


def test_steps_have_no_way_to_prometheus_and_grafana(objects):
    policy = objects.one("NetworkPolicy", "from-inside", "monitoring")["spec"]
    assert policy["podSelector"] == {} and policy["policyTypes"] == ["Ingress"]
    inside, api_server = policy["ingress"]
    assert inside["from"] == [{"podSelector": {}}]
    assert {parameters(stage)["VpcCidr"] for stage in STAGES} == {api_server["from"][0]["ipBlock"]["cidr"]}, "not the pods' range"
