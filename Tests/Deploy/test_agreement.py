"""Times, ports and addresses that must agree over files which nobody reads side by side: this test does."""

import json
import re

import pytest
import yaml

from templates import ROOT, STAGES, parameters, resources, template


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", str(text)).groups()
    return int(number) * {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600}[unit]


@pytest.fixture
def process(alpha):
    return yaml.safe_load(alpha.one("ConfigMap", "gateway-configuration")["data"]["gateway.yaml"])


@pytest.fixture
def example():
    return yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text())


@pytest.fixture
def pod(alpha):
    return alpha.one("Deployment", "gateway")["spec"]["template"]["spec"]


@pytest.fixture
def unit():
    return (ROOT / "deploy" / "systemd" / "metaflow-gateway.service").read_text()


def groups():
    return resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup").values()


def attributes(group):
    return {each["Key"]: each["Value"] for each in group["Properties"]["TargetGroupAttributes"]}


HARD_STOP = 330  # DESIGN §5, features A10: when the gateway ends whatever still runs.


def test_a_drain_fits_into_every_grace_period(process, example, pod, unit):
    drain = seconds(process["drain"]["accept_for"]) + seconds(process["drain"]["finish_for"])
    assert process["drain"] == example["drain"]
    assert drain <= HARD_STOP < pod["terminationGracePeriodSeconds"]
    assert HARD_STOP < int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M).group(1))
    dockerfile = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    assert HARD_STOP < int(re.search(r"docker stop --time (\d+)", dockerfile).group(1))
    assert "STOPSIGNAL SIGTERM" in dockerfile and "KillSignal=SIGTERM" in unit


def test_the_gateway_accepts_longer_than_the_load_balancer_keeps_sending(process):
    """NLB goes on for 3 to 5 minutes after a target turns unhealthy or is deregistered (features.md, finding 7)."""
    for group in groups():
        noticed = group["Properties"]["HealthCheckIntervalSeconds"] * group["Properties"]["UnhealthyThresholdCount"]
        assert seconds(process["drain"]["accept_for"]) >= noticed + 180


def test_deregistration_outlasts_the_drain(process):
    drain = seconds(process["drain"]["accept_for"]) + seconds(process["drain"]["finish_for"])
    for group in groups():
        assert int(attributes(group)["deregistration_delay.timeout_seconds"]) >= drain
        assert int(attributes(group)["target_health_state.unhealthy.draining_interval_seconds"]) >= drain


def test_the_gateway_closes_idle_connections_before_the_load_balancer_forgets_them(process, example):
    assert process["timeouts"]["keep_alive"] == example["timeouts"]["keep_alive"]
    for listener in resources("ingress", "AWS::ElasticLoadBalancingV2::Listener").values():
        idle = {each["Key"]: each["Value"] for each in listener["Properties"].get("ListenerAttributes", [])}
        # A TLS listener's 350 s are fixed and take no attribute.
        limit = int(idle.get("tcp.idle_timeout.seconds", 350))
        assert ("tcp.idle_timeout.seconds" in idle) == (listener["Properties"]["Protocol"] == "TCP")
        assert seconds(process["timeouts"]["keep_alive"]) < limit == 350


def test_a_new_pod_counts_once_the_load_balancer_has_it(alpha):
    for group in groups():
        properties = group["Properties"]
        healthy = properties["HealthCheckIntervalSeconds"] * properties["HealthyThresholdCount"]
        assert alpha.one("Deployment", "gateway")["spec"]["minReadySeconds"] >= healthy + 180


def test_probes_answer_within_their_own_period(pod):
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = pod["containers"][0][name]
        assert probe.get("timeoutSeconds", 1) <= probe["periodSeconds"]
    for group in groups():
        assert group["Properties"]["HealthCheckTimeoutSeconds"] < group["Properties"]["HealthCheckIntervalSeconds"]


def test_one_autoscaling_step_down_waits_for_one_drain(process, alpha):
    policy, = alpha.one("HorizontalPodAutoscaler", "gateway")["spec"]["behavior"]["scaleDown"]["policies"]
    assert policy["value"] == 1 and policy["periodSeconds"] >= HARD_STOP


def port(address):
    return int(address.rsplit(":", 1)[1])


def test_ports_agree_from_the_load_balancer_to_the_process(process, example, pod, alpha):
    tls, redirect = process["listeners"]
    wanted = {"https": port(tls["address"]), "redirect": port(redirect["address"]), "health": port(process["health"]["address"]), "metrics": port(process["admin"]["metrics_address"])}
    assert wanted == {"https": 8443, "redirect": 8080, "health": 8086, "metrics": 9090}
    assert {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]} == wanted
    by_name = resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert by_name["TlsTargets"]["Properties"]["Port"] == wanted["https"]
    assert by_name["RedirectTargets"]["Properties"]["Port"] == wanted["redirect"]
    for group in by_name.values():
        assert (group["Properties"]["HealthCheckProtocol"], int(group["Properties"]["HealthCheckPort"]), group["Properties"]["HealthCheckPath"]) == ("HTTP", wanted["health"], "/readyz")
    opened = {each["Properties"]["FromPort"] for each in resources("ingress", "AWS::EC2::SecurityGroupIngress").values()}
    assert opened == {wanted["https"], wanted["redirect"], wanted["health"]}
    dockerfile = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    assert set(map(int, re.search(r"^EXPOSE (.+)$", dockerfile, re.M).group(1).split())) == set(wanted.values())
    assert f'"/health.sh", "{wanted["health"]}"' in dockerfile
    assert port(example["health"]["address"]) == wanted["health"]


def test_a_health_check_never_meets_a_port_that_expects_the_proxy_protocol(process):
    expecting = {port(each["address"]) for each in process["listeners"] if "proxy_protocol" in each.get("client_address", {})}
    assert expecting == {8443, 8080}
    for group in groups():
        assert attributes(group)["proxy_protocol_v2.enabled"] == "true"
        assert group["Properties"]["Port"] in expecting and int(group["Properties"]["HealthCheckPort"]) not in expecting


def test_the_command_line_s_callbacks_are_those_that_cognito_knows():
    registered = resources("auth", "AWS::Cognito::UserPoolClient")["CommandLineClient"]["Properties"]["CallbackURLs"]
    ports = [int(re.fullmatch(r"http://localhost:(\d+)/callback", each).group(1)) for each in registered if isinstance(each, str)]
    assert ports == [8400, 8401, 8402]
    for stage in STAGES:
        configuration = yaml.safe_load((ROOT / "config" / "stages" / f"{stage}.yaml").read_text())
        command_line, = (each for each in configuration["identity"]["clients"] if each["name"] == "command-line")
        assert command_line["redirect_ports"] == ports
        assert configuration["public_url"] == f"https://{parameters(stage)['StageHost']}"
        assert configuration["host"] == parameters(stage)["StageHost"]
        assert configuration["identity"]["cognito"]["region"] == parameters(stage)["Region"]
        assert configuration["identity"]["cognito"]["domain"] == f"https://{parameters(stage)['DomainPrefix']}.auth.{parameters(stage)['Region']}.amazoncognito.com"
        assert any(route["path"] == "/cli" for route in configuration["routes"])


def test_the_extension_calls_back_in_the_form_that_cognito_knows():
    """Its ports come from `/cli/config`, hence from the stage file above; the rest of the address is its own."""
    folder = ROOT / "deploy" / "metaflow-extension" / "source"
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    assert re.search(r'f"http://localhost:\{[\w.()]+\}/callback"', text)
    assert 'get("redirect_ports")' in text
    assert not re.search(r"\b840[0-9]\b", re.sub(r"#.*", "", text)), "a port of its own would drift from the pool's"


def test_groups_and_scopes_of_the_stage_files_exist_in_the_pool():
    declared = template("auth")["Parameters"]
    known = {declared["ScientistGroup"]["Default"], declared["OperatorGroup"]["Default"]}
    server = resources("auth", "AWS::Cognito::UserPoolResourceServer")["ResourceServer"]["Properties"]
    scopes = {f"{server['Identifier']}/{each['ScopeName']}" for each in server["Scopes"]}
    machine = set(resources("auth", "AWS::Cognito::UserPoolClient")["MachineClient"]["Properties"]["AllowedOAuthScopes"])
    for stage in STAGES:
        configuration = yaml.safe_load((ROOT / "config" / "stages" / f"{stage}.yaml").read_text())
        assert set(configuration["policy"]["groups"]) <= known
        for client in configuration["identity"]["clients"]:
            assert set(client.get("scopes", [])) <= scopes
            if client["name"] == "nightly-jobs":
                assert set(client["scopes"]) <= machine


def test_the_cluster_binds_the_group_that_the_pool_has(alpha):
    group = template("auth")["Parameters"]["ScientistGroup"]["Default"]
    prefix = resources("ingress", "AWS::EKS::IdentityProviderConfig")["ClusterSignOn"]["Properties"]["Oidc"]["GroupsPrefix"]
    assert alpha.one("RoleBinding", "metaflow-scientist")["subjects"] == [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": prefix + group}]


def test_the_process_is_started_alike_everywhere(unit):
    command = "/usr/bin/metaflow-gateway serve --config /etc/metaflow-gateway/gateway.yaml"
    assert f"ExecStart={command}\n" in unit
    dockerfile = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    assert json.loads(re.findall(r"^CMD (\[.+\])$", dockerfile, re.M)[-1]) == command.split()


def test_the_user_of_image_and_pods_is_one(pod):
    dockerfile = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.M) == ["65532:65532"] * 2
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 65532


@pytest.mark.parametrize("stage", STAGES)
def test_the_settings_of_metaflow_follow_from_the_stage_s_parameters(stage):
    settings = dict(line.split("=", 1) for line in (ROOT / "deploy/kubernetes/overlays" / stage / "metaflow.env").read_text().splitlines() if line and not line.startswith("#"))
    given = parameters(stage)
    bucket = resources("data", "AWS::S3::Bucket")["ArtifactBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    bucket = bucket.replace("${Stage}", stage).replace("${AWS::AccountId}", given["Account"]).replace("${AWS::Region}", given["Region"])
    assert settings["METAFLOW_DATASTORE_SYSROOT_S3"] == f"s3://{bucket}/metaflow"
    assert settings["METAFLOW_DATATOOLS_S3ROOT"].startswith(f"s3://{bucket}/metaflow/"), "inside what the roles may touch"
    assert settings["METAFLOW_SERVICE_URL"] == f"https://{given['StageHost']}/api/metadata"
    assert settings["METAFLOW_UI_URL"] == f"https://{given['StageHost']}/"
    for stack, role in (("auth", "ScientistRole"), ("eks", "TaskRole")):
        text = json.dumps(resources(stack, "AWS::IAM::Role")[role])
        assert "${Bucket}/metaflow/*" in text


# What the gateway says by itself in /cli/config, from the stage's public_url.
SAID_BY_THE_GATEWAY = {"METAFLOW_SERVICE_URL", "METAFLOW_DEFAULT_METADATA"}
# Settings that the platform's own programs may have and a public document may not: whatever holds a credential, and what is each
# user's own affair.
NEVER_HANDED_OUT = re.compile(r"SECRET|PASSWORD|TOKEN|CREDENTIAL|_KEY\b|_HEADERS$|^METAFLOW_(PROFILE|HOME|USER)$")


@pytest.mark.parametrize("stage", STAGES)
def test_a_laptop_gets_every_setting_of_the_stage_that_may_leave_it(stage):
    lines = (ROOT / "deploy/kubernetes/overlays" / stage / "metaflow.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    configuration = yaml.safe_load((ROOT / "config" / "stages" / f"{stage}.yaml").read_text())
    handed = configuration["command_line_api"]["settings"]
    may_leave = {name for name in settings if not NEVER_HANDED_OUT.search(name)}
    assert set(handed) | SAID_BY_THE_GATEWAY == may_leave
    assert [name for name in handed if NEVER_HANDED_OUT.search(name)] == []
    # The account in a bucket's name is an example on both sides.
    for name, value in handed.items():
        assert re.sub(r"-\d{12}-", "-ACCOUNT-", value) == re.sub(r"-\d{12}-", "-ACCOUNT-", settings[name]), name
    assert settings["METAFLOW_SERVICE_URL"] == configuration["public_url"] + "/api/metadata"
    assert settings["METAFLOW_DEFAULT_METADATA"] == "service"
