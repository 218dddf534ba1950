"""The rendered manifests of each stage."""

import copy
import ipaddress
import json
import os
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from kustomize import OVERLAYS, render
from templates import ROOT, STAGES, first_revocation_file, parameters, resources, template, with_wheel

KUBERNETES = template("eks")["Parameters"]["KubernetesVersion"]["Default"]
# Custom resources: no schema of theirs comes with kubernetes-validate; the tests below hold what matters about each.
CUSTOM = {
    "eks.amazonaws.com/v1": {"NodeClass", "TargetGroupBinding"},
    "karpenter.sh/v1": {"NodePool"},
    "policies.kyverno.io/v1": {"MutatingPolicy", "ValidatingPolicy"},
    "argoproj.io/v1alpha1": {"EventBus", "EventSource"},
    "externaldns.k8s.io/v1alpha1": {"DNSEndpoint"},
    "secrets-store.csi.x-k8s.io/v1": {"SecretProviderClass"},
    "monitoring.coreos.com/v1": {"PodMonitor", "PrometheusRule"},
}


def pods(objects):
    """(name, namespace, pod template) of everything that makes pods."""
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec and each["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
            yield each["metadata"]["name"], each["metadata"]["namespace"], spec["template"]


def containers(template):
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]


def test_built_in_objects_satisfy_their_schemas(objects):
    checked = 0
    for each in objects:
        if each["kind"] in CUSTOM.get(each["apiVersion"], ()):
            continue
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
        checked += 1
    assert checked > 50


def test_the_schema_check_can_fail(alpha):
    wrong = copy.deepcopy(alpha.one("Deployment", "gateway"))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 360
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_no_two_objects_have_one_name(objects):
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))


def test_everything_says_which_platform_and_stage_it_belongs_to(objects, stage):
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "metaflow-platform"
        assert labels["metaflow.simulation.amazon.dev/stage"] == stage


def test_nothing_is_left_to_fill_in(objects):
    assert "filled-in" not in yaml.safe_dump_all(objects)


def test_every_value_of_platform_env_lands_somewhere(stage, tmp_path):
    """Each is replaced by a mark of its own in a copy; a value that leaves no trace is one that nobody uses."""
    copy_of = tmp_path / "deploy"
    shutil.copytree(ROOT / "deploy" / "kubernetes", copy_of / "kubernetes")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    file = copy_of / "kubernetes" / "overlays" / stage / "platform.env"
    names = re.findall(r"^([A-Z_]+)=", file.read_text(), re.M)
    file.write_text("".join(f"{name}=mark-{name.lower().replace('_', '-')}-mark\n" for name in names))
    rendered = render(copy_of / "kubernetes" / "overlays" / stage)
    unused = [name for name in names if f"mark-{name.lower().replace('_', '-')}-mark" not in rendered]
    assert unused == ["STAGE"], "STAGE is for people; each other value must land"


def test_platform_env_itself_does_not_reach_the_cluster(objects):
    assert not [each for each in objects.kind("ConfigMap") if each["metadata"]["name"] == "platform"]


def test_a_stage_loads_its_own_file_and_secrets_and_no_other_stage_s(objects, stage):
    text = yaml.safe_dump_all(objects)
    for other in set(STAGES) - {stage}:
        assert f"{other}.metaflow.simulation.amazon.dev" not in text and f"{other}-browser-client" not in text and f"metaflow-{other}" not in text
        assert parameters(other)["Account"] not in text
    files = objects.one("ConfigMap", "gateway-configuration")["data"]
    assert set(files) == {"gateway.yaml", "stage.yaml"}
    assert files["stage.yaml"] == (ROOT / "config" / "stages" / f"{stage}.yaml").read_text()


def test_no_secret_is_in_git(objects):
    assert objects.kind("Secret") == []
    text = "".join(path.read_text() for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix in {".yaml", ".env", ".json", ".sh", ".txt"})
    assert "PRIVATE KEY-----\n" not in text and not re.search(r"AKIA[0-9A-Z]{16}", text)


def test_every_secret_and_config_map_that_a_pod_mounts_is_known(objects, stage):
    made = {each["metadata"]["name"] for each in objects.kind("ConfigMap")} | {"gateway-revocation"}
    given = {"gateway-login-keys", "gateway-certificate", f"{stage}-browser-client"}
    script = (ROOT / "deploy" / "stacks.sh").read_text()
    for name, _, pod in pods(objects):
        for volume in pod["spec"].get("volumes", []):
            sources = volume.get("projected", {}).get("sources", []) or [volume]
            for source in sources:
                if "configMap" in source:
                    assert source["configMap"]["name"] in made, name
                if "secret" in source:
                    assert source["secret"]["name"] in given, name
    assert "create configmap gateway-revocation" in script
    for secret in given:
        assert secret.replace(stage, "$stage") in script, f"nobody makes {secret}"


def test_who_is_locked_out_is_nothing_that_a_deploy_overwrites(objects):
    assert not [each for each in objects.kind("ConfigMap") if each["metadata"]["name"] == "gateway-revocation"]


def test_images_are_pinned(objects):
    for name, _, pod in pods(objects):
        for container in containers(pod):
            image, _, tag = container["image"].rpartition(":")
            assert image and re.search(r"\d", tag) and tag != "latest", f"{name}: {container['image']}"


def test_the_cluster_s_own_client_is_of_the_cluster_s_version(stage):
    images = {each["name"]: each["newTag"] for each in yaml.safe_load((OVERLAYS / stage / "kustomization.yaml").read_text())["images"]}
    assert images["registry.k8s.io/kubectl"].startswith(f"v{KUBERNETES}.") and parameters(stage)["KubernetesVersion"] == KUBERNETES


@pytest.mark.parametrize("namespace", ["metaflow-gateway", "external-dns"])
def test_the_platform_s_own_pods_run_without_any_privilege(objects, namespace):
    found = 0
    for name, where, pod in pods(objects):
        if where != namespace:
            continue
        found += 1
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True and pod["spec"]["securityContext"]["runAsUser"] > 0
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}, name
    assert found
    labels = objects.one("Namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_namespace_enforces_pod_security(objects):
    for each in objects.kind("Namespace"):
        assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] in ("restricted", "baseline")
    used = {each["metadata"]["namespace"] for each in objects if "namespace" in each["metadata"]} - {"kube-system"}
    assert used <= {each["metadata"]["name"] for each in objects.kind("Namespace")}


def test_every_container_asks_for_something_and_has_a_limit_of_memory(objects):
    for name, _, pod in pods(objects):
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


# ---- The gateway --------------------------------------------------------------------------------------------------------


def test_the_gateway_rolls_one_pod_at_a_time_and_never_one_too_few(objects):
    spec = objects.one("Deployment", "gateway")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["minReadySeconds"] >= 300, "a load balancer takes up to 5 minutes to register a target, and Auto Mode has no readiness gate"
    autoscaler = objects.one("HorizontalPodAutoscaler", "gateway")["spec"]
    assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"]
    assert "replicas" not in spec and autoscaler["minReplicas"] >= 3
    assert autoscaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway"}
    assert objects.one("PodDisruptionBudget", "gateway")["spec"]["maxUnavailable"] == 1


def test_the_gateway_is_spread_over_zones_and_nodes(objects):
    spread = objects.one("Deployment", "gateway")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_probes_ask_the_health_port_alone(objects):
    container, = objects.one("Deployment", "gateway")["spec"]["template"]["spec"]["containers"]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}
    assert {each["name"]: each["containerPort"] for each in container["ports"]}["health"] == 8086


def test_selectors_find_their_pods(objects):
    templates = [(where, pod.get("metadata", {}).get("labels", {})) for _, where, pod in pods(objects)]
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for each in objects.kind(kind):
            selector = each["spec"].get("selector", each["spec"].get("podSelector"))
            wanted = selector.get("matchLabels", selector) if kind != "Service" else selector
            if not wanted:
                continue
            assert any(where == each["metadata"]["namespace"] and wanted.items() <= labels.items() for where, labels in templates), f"{kind} {each['metadata']['name']}"


def test_services_name_ports_that_their_pods_have(objects):
    for service in objects.kind("Service"):
        for _, where, pod in pods(objects):
            if where == service["metadata"]["namespace"] and service["spec"]["selector"].items() <= pod.get("metadata", {}).get("labels", {}).items():
                names = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
                assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_no_service_makes_a_load_balancer(objects):
    assert {each["spec"].get("type", "ClusterIP") for each in objects.kind("Service")} == {"ClusterIP"}
    assert not objects.kind("Ingress") and not objects.kind("Gateway")


def test_pods_are_bound_to_the_stacks_target_groups(objects, stage):
    service = objects.one("Service", "gateway")
    ports = {each["name"] for each in service["spec"]["ports"]}
    for name, port, group in (("gateway-tls", "https", "tls"), ("gateway-redirect", "http", "redirect")):
        spec = objects.one("TargetGroupBinding", name)["spec"]
        assert spec["serviceRef"] == {"name": "gateway", "port": port} and port in ports
        assert spec["targetType"] == "ip" and f"targetgroup/metaflow-{stage}-{group}/" in spec["targetGroupARN"]
        assert "networking" not in spec, "the ingress stack owns the security groups"
        expected = resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup")["TlsTargets" if group == "tls" else "RedirectTargets"]
        assert expected["Properties"]["Name"] == {"Fn::Sub": f"metaflow-${{Stage}}-{group}"}


def test_the_host_points_at_the_load_balancer(objects, stage):
    endpoint, = objects.one("DNSEndpoint", "gateway")["spec"]["endpoints"]
    assert endpoint["dnsName"] == f"{stage}.metaflow.simulation.amazon.dev"
    assert endpoint["targets"][0].startswith(f"metaflow-{stage}-") and endpoint["targets"][0].endswith(".elb.us-west-2.amazonaws.com")
    arguments = objects.one("Deployment", "external-dns")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--domain-filter={stage}.metaflow.simulation.amazon.dev" in arguments
    assert f"--txt-owner-id=metaflow-{stage}" in arguments
    assert "--source=crd" in arguments and "--policy=upsert-only" in arguments
    assert any(re.fullmatch(r"--zone-id-filter=Z\w+", each) for each in arguments)
    # The host is the zone's own name: the record of ownership must begin with labels of its own, or it falls outside of the zone.
    assert resources("dns", "AWS::Route53::HostedZone")["Zone"]["Properties"]["Name"] == {"Ref": "StageHost"}
    prefix, = (each.removeprefix("--txt-prefix=") for each in arguments if each.startswith("--txt-prefix="))
    assert prefix.endswith(".") and "%{record_type}" in prefix
    assert {"name": "alias", "value": "true"} in endpoint["providerSpecific"], "the zone's own name cannot be a CNAME"


def test_the_dns_endpoint_satisfies_the_definition_that_is_installed(objects):
    definition = objects.one("CustomResourceDefinition", "dnsendpoints.externaldns.k8s.io")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    import jsonschema
    def closed(node):
        if node.get("type") == "object" and "properties" in node and set(node["properties"]) != set():
            node = node | {"additionalProperties": False, "properties": {k: closed(v) if k != "metadata" else v for k, v in node["properties"].items()}}
        if node.get("type") == "array":
            node = node | {"items": closed(node["items"])}
        return node
    jsonschema.validate(objects.one("DNSEndpoint", "gateway"), closed(schema))


def test_configuration_and_secrets_are_one_volume_with_the_files_that_the_configuration_names(objects, stage):
    pod = objects.one("Deployment", "gateway")["spec"]["template"]["spec"]
    volume = next(each for each in pod["volumes"] if each["name"] == "configuration")
    files = set()
    for source in volume["projected"]["sources"]:
        given = source.get("secret") or source["configMap"]
        if "items" in given:
            files |= {item["path"] for item in given["items"]}
        else:
            files |= set(objects.one("ConfigMap", source["configMap"]["name"])["data"])
    data = objects.one("ConfigMap", "gateway-configuration")["data"]
    named = set(re.findall(r"/etc/metaflow-gateway/([\w./-]+)", data["gateway.yaml"] + re.sub(r"^\s*#.*$", "", data["stage.yaml"], flags=re.M)))
    assert named <= files, f"the configuration names {named - files}, which nobody mounts"
    assert {"gateway.yaml", "stage.yaml"} <= files
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["/etc/metaflow-gateway"]["readOnly"] is True
    assert {"/var/lib/metaflow-gateway", "/run/metaflow-gateway"} <= mounts.keys()


def test_the_cluster_s_process_file_differs_from_config_in_four_things_alone(alpha):
    ours = yaml.safe_load(alpha.one("ConfigMap", "gateway-configuration")["data"]["gateway.yaml"])
    theirs = yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text())
    for listener in ours["listeners"]:
        assert listener.pop("client_address") == {"proxy_protocol": {"trusted": ["10.40.0.0/22"]}}
    for listener in theirs["listeners"]:
        listener.pop("client_address", None)
    assert ours["listeners"] == theirs["listeners"]
    assert ours["admin"].pop("metrics_address") == "[::]:9090" and theirs["admin"].pop("metrics_address") == "127.0.0.1:9090"
    assert ours.pop("revocation") == {"file": "/etc/metaflow-gateway/revocation/revocation.json"} and "revocation" not in theirs
    assert ours.pop("stages") == ["stage.yaml"] and len(theirs.pop("stages")) == 3
    assert ours["timeouts"].items() <= theirs["timeouts"].items()
    for key in ours.keys() - {"listeners", "timeouts"}:
        assert ours[key] == theirs[key], key


GATEWAY = os.environ.get("METAFLOW_GATEWAY")


def mounted(objects, stage, folder):
    """The files of the gateway's one volume, below this folder in place of /etc/metaflow-gateway."""
    etc = folder / "etc"
    (etc / "tls").mkdir(parents=True)
    (etc / "revocation").mkdir()
    host = f"{stage}.metaflow.simulation.amazon.dev"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", etc / "tls/tls.key",
                    "-out", etc / "tls/tls.crt", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},DNS:*.{host}"], check=True, capture_output=True)
    for name, text in objects.one("ConfigMap", "gateway-configuration")["data"].items():
        (etc / name).write_text(with_wheel(text, folder).replace("/etc/metaflow-gateway/", f"{etc}/").replace("/var/lib/metaflow-gateway", str(folder)))
    (etc / f"{stage}-client-secret").write_text("secret")
    (etc / "revocation/revocation.json").write_text(first_revocation_file())
    ring = subprocess.run([GATEWAY, "keys", "rotate", "--output", "-"], capture_output=True, text=True)
    assert ring.returncode == 0, ring.stderr
    (etc / "login-keys.json").write_text(ring.stdout)
    return etc


@pytest.mark.skipif(not GATEWAY, reason="METAFLOW_GATEWAY names no built gateway: its `check` did NOT see the rendered configuration")
def test_the_gateway_accepts_the_rendered_configuration(objects, stage, tmp_path):
    done = subprocess.run([GATEWAY, "check", "--config", mounted(objects, stage, tmp_path) / "gateway.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def as_aws_describes(mode, folder):
    """What `aws elbv2 describe-…` would answer about the load balancer that the ingress template makes, one file an answer."""
    condition = {"pass-through": "PassThrough", "at-load-balancer": "TerminatesTls"}
    def chosen(value):
        return value["Fn::If"][1 if value["Fn::If"][0] == condition[mode] else 2] if isinstance(value, dict) and "Fn::If" in value else value
    groups = resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup")
    listeners = {name: each for name, each in resources("ingress", "AWS::ElasticLoadBalancingV2::Listener").items() if each.get("Condition") in (None, condition[mode])}
    answers = [{"TargetGroups": [{"TargetGroupName": name} | {key: chosen(value) for key, value in each["Properties"].items() if key not in ("Name", "VpcId", "Tags", "TargetGroupAttributes")}]} for name, each in groups.items()]
    answers += [{"Attributes": each["Properties"]["TargetGroupAttributes"]} for each in groups.values()]
    answers += [{"Listeners": [{key: each["Properties"][key] for key in ("Port", "Protocol", "SslPolicy", "AlpnPolicy") if key in each["Properties"]}]} for each in listeners.values()]
    answers += [{"Attributes": each["Properties"]["ListenerAttributes"]} for each in listeners.values() if "ListenerAttributes" in each["Properties"]]
    paths = [folder / f"{number}.json" for number in range(len(answers))]
    for path, answer in zip(paths, answers):
        path.write_text(json.dumps(answer))
    return paths


def has_doctor():
    return bool(GATEWAY) and "USAGE: metaflow-gateway doctor" in subprocess.run([GATEWAY, "doctor", "--help"], capture_output=True, text=True).stdout


@pytest.mark.skipif(not has_doctor(), reason="METAFLOW_GATEWAY names no gateway with a doctor: the load balancer was NOT held against the configuration by the program itself")
@pytest.mark.parametrize("mode", ["pass-through", "at-load-balancer"])
def test_the_gateway_s_own_doctor_finds_no_contradiction_with_the_load_balancer(alpha, mode, tmp_path):
    configuration = mounted(alpha, "alpha", tmp_path) / "gateway.yaml"
    files = as_aws_describes(mode, tmp_path)
    def doctor():
        return subprocess.run([GATEWAY, "doctor", "--config", configuration, *(word for path in files for word in ("--nlb", path))], capture_output=True, text=True)
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    # And it would have found one.
    for path in files:
        path.write_text(path.read_text().replace('"deregistration_delay.timeout_seconds", "Value": "300"', '"deregistration_delay.timeout_seconds", "Value": "30"'))
    assert doctor().returncode == 1


# ---- Networks ---------------------------------------------------------------------------------------------------------------


def cidrs():
    """The subnets that vpc.yaml cuts out of its two ranges."""
    stage = parameters("alpha")
    ranges = {"VpcCidr": ipaddress.ip_network(stage["VpcCidr"]), "PodCidr": ipaddress.ip_network(stage["PodCidr"])}
    found = {}
    for name, subnet in resources("vpc", "AWS::EC2::Subnet").items():
        index, cidr = subnet["Properties"]["CidrBlock"]["Fn::Select"]
        parent, _, bits = cidr["Fn::Cidr"]
        found[name] = list(ranges[parent["Ref"]].subnets(new_prefix=32 - bits))[index]
    return found


def test_subnets_do_not_overlap():
    found = list(cidrs().items())
    for index, (name, one) in enumerate(found):
        for other_name, other in found[index + 1:]:
            assert not one.overlaps(other), f"{name} {one} overlaps {other_name} {other}"


def test_the_gateway_trusts_proxy_headers_from_the_load_balancer_s_subnets_and_no_others(alpha):
    trusted = ipaddress.ip_network("10.40.0.0/22")
    for name, subnet in cidrs().items():
        assert trusted.supernet_of(subnet) == name.startswith("Public"), name
    for listener in yaml.safe_load(alpha.one("ConfigMap", "gateway-configuration")["data"]["gateway.yaml"])["listeners"]:
        assert listener["client_address"]["proxy_protocol"]["trusted"] == [str(trusted)]
    rule = alpha.one("NetworkPolicy", "gateway", "metaflow-gateway")["spec"]["ingress"][0]
    assert rule["from"] == [{"ipBlock": {"cidr": str(trusted)}}]


def test_the_network_policies_name_the_database_s_subnets():
    database = ipaddress.ip_network("10.40.4.0/22")
    for name, subnet in cidrs().items():
        assert database.supernet_of(subnet) == name.startswith("Database"), name


def test_pods_have_room_for_thousands_of_branches():
    pods_room = sum(subnet.num_addresses - 5 for name, subnet in cidrs().items() if name.startswith("Pod"))
    assert pods_room > 40_000


def test_only_the_monitoring_namespace_reads_metrics(objects):
    policy = objects.one("NetworkPolicy", "gateway", "metaflow-gateway")["spec"]
    rules = [rule for rule in policy["ingress"] if {"port": 9090} in rule["ports"]]
    assert len(rules) == 1
    assert rules[0]["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_only_the_gateway_reaches_the_user_interface_and_only_it_and_steps_the_metadata_service(objects):
    for name, extra in (("ui", []), ("ui-static", []), ("metadata", ["metaflow-jobs"])):
        policy = objects.one("NetworkPolicy", name, "metaflow")["spec"]
        sources = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for rule in policy["ingress"] for peer in rule["from"]]
        assert sources == ["metaflow-gateway", *extra]


@pytest.mark.parametrize("namespace", ["metaflow", "metaflow-gateway"])
def test_what_no_policy_names_is_denied(objects, namespace):
    policy = objects.one("NetworkPolicy", "default-deny", namespace)["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_pod_may_ask_the_node_for_its_credentials(objects):
    metadata = ipaddress.ip_address("169.254.169.254")
    for policy in objects.kind("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []) or []:
            for peer in rule.get("to", []):
                if "ipBlock" in peer and metadata in ipaddress.ip_network(peer["ipBlock"]["cidr"]):
                    assert any(metadata in ipaddress.ip_network(each) for each in peer["ipBlock"].get("except", [])), policy["metadata"]["name"]


def test_policies_are_enforced_by_the_cluster(objects):
    assert objects.one("ConfigMap", "amazon-vpc-cni", "kube-system")["data"]["enable-network-policy-controller"] == "true"


# ---- Metaflow's services ------------------------------------------------------------------------------------------------------


def test_every_upstream_of_the_stage_file_is_a_service_here(objects, stage):
    configuration = yaml.safe_load((ROOT / "config" / "stages" / f"{stage}.yaml").read_text())
    for name, upstream in configuration["upstreams"].items():
        for endpoint in upstream["endpoints"]:
            service, namespace, port = re.fullmatch(r"http://([\w-]+)\.([\w-]+)\.svc:(\d+)", endpoint).groups()
            found = objects.one("Service", service, namespace)
            assert int(port) in {each["port"] for each in found["spec"]["ports"]}, name
            assert found["spec"]["clusterIP"] == "None", "headless, so that the gateway sees and checks each endpoint"


def test_checks_and_probes_ask_the_services_for_the_same_path(objects, stage):
    configuration = yaml.safe_load((ROOT / "config" / "stages" / f"{stage}.yaml").read_text())
    for upstream, deployment in (("metadata", "metadata"), ("ui-api", "ui")):
        probe = objects.one("Deployment", deployment)["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
        assert configuration["upstreams"][upstream]["health"] == probe == "/ping"


def test_the_user_interface_is_told_its_address_as_the_browser_sees_it(objects, stage):
    environment = {each["name"]: each["value"] for each in objects.one("Deployment", "ui")["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["PATH_PREFIX"] == "", "the gateway strips /api"
    assert environment["MF_BASEURL"] == f"https://{stage}.metaflow.simulation.amazon.dev/api"
    static = objects.one("Deployment", "ui-static")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "METAFLOW_SERVICE", "value": "/api"} in static


def test_the_database_is_reached_over_tls_with_the_secret_that_rds_rotates(objects):
    for name in ("metadata", "ui"):
        pod = objects.one("Deployment", name)["spec"]["template"]["spec"]
        for container in containers({"spec": pod}):
            environment = {each["name"]: each.get("value") for each in container["env"]}
            assert environment["MF_METADATA_DB_SSL_MODE"] == "require"
            assert environment["MF_METADATA_DB_HOST"].endswith(".rds.amazonaws.com")
            assert not {"MF_METADATA_DB_PSWD", "MF_METADATA_DB_USER"} & environment.keys()
        assert any(each.get("csi", {}).get("driver") == "secrets-store.csi.k8s.io" for each in pod["volumes"])
    for each in objects.kind("SecretProviderClass"):
        entry, = yaml.safe_load(each["spec"]["parameters"]["objects"])
        assert entry["objectName"].startswith("arn:aws:secretsmanager:us-west-2:") and ":secret:rds!cluster-" in entry["objectName"]
        assert {item["objectAlias"] for item in entry["jmesPath"]} == {"username", "password"}
        assert each["spec"]["parameters"]["usePodIdentity"] == "true"


def test_a_secret_that_the_store_copies_is_one_that_its_driver_may_write(objects):
    """The add-on takes syncSecret and drops it; without this role Argo's controller waits for its database's secret for ever."""
    assert any(each["spec"].get("secretObjects") for each in objects.kind("SecretProviderClass"))
    role = objects.one("ClusterRole", "metaflow-secrets-store-sync")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}]
    binding = objects.one("ClusterRoleBinding", "metaflow-secrets-store-sync")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert {each["name"] for each in binding["subjects"]} == {"secrets-store-csi-driver"} and {each["namespace"] for each in binding["subjects"]} >= {"kube-system"}
    addon = next(each for each in resources("eks", "AWS::EKS::Addon").values() if "ConfigurationValues" in each["Properties"])
    assert json.loads(addon["Properties"]["ConfigurationValues"])["secrets-store-csi-driver"] == {"enableSecretRotation": True, "rotationPollInterval": "120s", "syncSecret": {"enabled": True}}


def test_every_pod_identity_has_its_service_account(objects):
    charts = {("argo", "argo-workflow-controller")}
    accounts = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in objects.kind("ServiceAccount")} | charts
    for stack in ("eks", "ingress"):
        for name, each in resources(stack, "AWS::EKS::PodIdentityAssociation").items():
            assert (each["Properties"]["Namespace"], each["Properties"]["ServiceAccount"]) in accounts, name
    values = yaml.safe_load((ROOT / "deploy/kubernetes/charts/argo-workflows.yaml").read_text())
    assert values["controller"]["serviceAccount"]["name"] == "argo-workflow-controller"


def test_nodes_and_pods_live_in_their_own_subnets(objects, stage):
    tags = {name: {each["Key"]: each["Value"] for each in subnet["Properties"]["Tags"]} for name, subnet in resources("vpc", "AWS::EC2::Subnet").items()}
    for each in objects.kind("NodeClass"):
        for term, prefix in (("subnetSelectorTerms", "NodeSubnet"), ("podSubnetSelectorTerms", "PodSubnet")):
            wanted = each["spec"][term][0]["tags"]
            assert {name for name, has in tags.items() if wanted.items() <= has.items()} == {f"{prefix}{zone}" for zone in "ABC"}
        assert each["spec"]["role"] == f"metaflow-{stage}-node"
        assert each["spec"]["securityGroupSelectorTerms"] == [{"tags": {"aws:eks:cluster-name": f"metaflow-{stage}"}}]
        assert resources("eks", "AWS::IAM::Role")["NodeRole"]["Properties"]["RoleName"] == {"Fn::Sub": "metaflow-${Stage}-node"}


# ---- The two ways to hold the certificate -------------------------------------------------------------------------------------


def test_the_overlay_and_the_parameters_name_the_same_tls_mode(stage):
    lines = (OVERLAYS / stage / "kustomization.yaml").read_text().splitlines()
    components = [line.strip().removeprefix("- ../../components/") for line in lines if line.strip().startswith("- ../../components/tls-")]
    assert components == [f"tls-{parameters(stage)['TlsMode']}"]


def test_the_other_tls_mode_renders_too(tmp_path):
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    overlay = tmp_path / "deploy" / "kubernetes" / "overlays" / "alpha"
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("  - ../../components/tls-pass-through", "  - ../../components/tls-at-load-balancer"))
    objects = [each for each in yaml.safe_load_all(render(overlay)) if each]
    for each in objects:
        if each["kind"] not in CUSTOM.get(each["apiVersion"], ()):
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
    names = {each["metadata"]["name"] for each in objects if each["kind"] == "CronJob"}
    assert "own-certificate" in names and "certificate-export" not in names
    assert "filled-in" not in yaml.safe_dump_all(objects)


def test_a_stage_whose_names_are_missing_does_not_render(tmp_path):
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    overlay = tmp_path / "deploy" / "kubernetes" / "overlays" / "alpha"
    (overlay / "platform.env").write_text("STAGE=alpha\n")
    with pytest.raises(AssertionError, match="fieldPath|unable to find|missing"):
        render(overlay)
