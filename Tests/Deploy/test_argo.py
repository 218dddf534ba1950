"""Metaflow's own Argo integration against our cluster: the real Metaflow compiles a flow with the settings that the stage hands out."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import boto3
import pytest
import yaml

from admission import admit
from templates import ROOT, STAGES

HERE = Path(__file__).parent
TIER = "metaflow.simulation.amazon.dev/tier"


def settings(stage):
    lines = (ROOT / "deploy/kubernetes/overlays" / stage / "metaflow.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What `argo-workflows create` would put into the cluster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.server import ThreadedMotoServer
    folder = tmp_path_factory.mktemp("compiled")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://%s:%d" % server.get_host_and_port()
        bucket = settings("alpha")["METAFLOW_DATASTORE_SYSROOT_S3"].split("/")[2]
        boto3.client("s3", endpoint_url=address, region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("METAFLOW_", "AWS_"))} | settings("alpha") | {
            "METAFLOW_HOME": str(folder), "METAFLOW_USER": "ada", "METAFLOW_S3_ENDPOINT_URL": address, "METAFLOW_DEFAULT_METADATA": "local",
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-west-2", "COMPILED": str(folder / "compiled.json")}
        done = subprocess.run([sys.executable, HERE / "compile_flow.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
    finally:
        server.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "compiled.json").read_text())


@pytest.fixture
def steps(compiled):
    return {each["name"]: each for each in compiled["workflow_template"]["spec"]["templates"] if "container" in each and each["name"] != "error-msg-capture-hook"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_setting_that_a_stage_hands_out_is_one_that_metaflow_reads(stage):
    import metaflow
    source = (Path(metaflow.__file__).parent / "metaflow_config.py").read_text()
    for name in settings(stage):
        assert f'from_conf("{name.removeprefix("METAFLOW_")}"' in source.replace("from_conf(\n    ", "from_conf("), name


def test_the_stages_differ_in_nothing_but_their_names():
    texts = {stage: "\n".join(f"{k}={v}" for k, v in settings(stage).items()).replace(stage, "STAGE") for stage in STAGES}
    import re
    assert len({re.sub(r"\d{12}", "ACCOUNT", text) for text in texts.values()}) == 1


def test_schedules_sensors_and_templates_land_where_their_controllers_look(compiled, alpha):
    values = yaml.safe_load((ROOT / "deploy/kubernetes/charts/argo-workflows.yaml").read_text())
    watched = values["controller"]["workflowNamespaces"]
    assert [compiled["workflow_template"]["namespace"]] == [compiled["schedule"]["namespace"]] == [compiled["sensor"]["namespace"]] == watched
    assert compiled["schedule"]["cron"] == "0 6 * * *"
    assert alpha.one("EventBus", "default")["metadata"]["namespace"] == alpha.one("EventSource", "metaflow-webhook")["metadata"]["namespace"] == watched[0]


def test_the_sensor_waits_at_our_event_source_on_our_bus(compiled, alpha):
    spec = compiled["sensor"]["object"]["spec"]
    dependency, = spec["dependencies"]
    source = alpha.one("EventSource", dependency["eventSourceName"])
    assert dependency["eventName"] in source["spec"]["webhook"]
    assert spec["eventBusName"] == source["spec"]["eventBusName"] == alpha.one("EventBus", "default")["metadata"]["name"]
    assert "jetstream" in alpha.one("EventBus", "default")["spec"]


def test_the_sensor_s_account_may_do_what_its_trigger_does(compiled, alpha):
    account = compiled["sensor"]["object"]["spec"]["template"]["serviceAccountName"]
    assert alpha.one("ServiceAccount", account)["metadata"]["namespace"] == "metaflow-jobs"
    trigger, = compiled["sensor"]["object"]["spec"]["triggers"]
    made = trigger["template"]["k8s"]["source"]["resource"]
    assert (made["apiVersion"], made["kind"]) == ("argoproj.io/v1alpha1", "Workflow")
    rules = alpha.one("Role", account)["rules"]
    assert any("workflows" in rule["resources"] and "create" in rule["verbs"] for rule in rules)
    assert alpha.one("RoleBinding", account)["subjects"][0]["name"] == account
    assert not any("*" in rule["verbs"] + rule["resources"] for rule in rules)


def test_steps_publish_events_to_our_webhook_inside_the_cluster(steps, alpha):
    source = alpha.one("EventSource", "metaflow-webhook")
    event, hook = next(iter(source["spec"]["webhook"].items()))
    port = source["spec"]["service"]["ports"][0]["port"]
    address = f"http://metaflow-webhook-eventsource-svc.metaflow-jobs.svc:{port}{hook['endpoint']}"
    assert str(port) == hook["port"] and hook["method"] == "POST"
    for name, each in steps.items():
        environment = {pair["name"]: pair.get("value") for pair in each["container"]["env"]}
        assert environment["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"] == address, name
        assert environment["METAFLOW_ARGO_EVENTS_EVENT"] == event


def test_steps_run_as_the_account_that_has_the_artifacts_role_and_reports_results(steps, alpha):
    for name, each in steps.items():
        assert each["serviceAccountName"] == "metaflow-task", name
    rules = alpha.one("Role", "metaflow-task")["rules"]
    assert {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]} in rules


def test_steps_call_the_metadata_service_inside_and_carry_no_token(steps, alpha):
    service = alpha.one("Service", "metadata", "metaflow")
    for name, each in steps.items():
        environment = {pair["name"]: pair.get("value") for pair in each["container"]["env"]}
        assert environment["METAFLOW_SERVICE_URL"] == f"http://metadata.metaflow.svc:{service['spec']['ports'][0]['port']}", name
        assert "Bearer" not in json.dumps(each), name


def test_steps_write_artifacts_where_their_role_may(steps):
    for name, each in steps.items():
        environment = {pair["name"]: pair.get("value") for pair in each["container"]["env"]}
        assert environment["METAFLOW_DATASTORE_SYSROOT_S3"] == settings("alpha")["METAFLOW_DATASTORE_SYSROOT_S3"], name
        assert environment["METAFLOW_DEFAULT_DATASTORE"] == "s3"


def test_retry_and_foreach_are_in_what_argo_gets(steps, compiled):
    assert steps["simulate"]["retryStrategy"]["limit"] == 3
    assert "withParam" in json.dumps(compiled["workflow_template"])


@pytest.mark.parametrize("step, tier", [
    ("start", "cpu-only"), ("simulate", "cpu-only"), ("join", "cpu-only"), ("train", "standard-gpu"), ("train-large", "top-tier-gpu"), ("evaluate", "top-tier-gpu"), ("end", "cpu-only"),
])
def test_what_resources_asked_for_decides_the_tier_of_the_real_pod(steps, alpha, step, tier):
    each = steps[step]
    labels = each.get("metadata", {}).get("labels") or {}
    made = {"metadata": {"name": step, "labels": labels, "annotations": each.get("metadata", {}).get("annotations") or {}}, "spec": {
        "containers": [{"name": "wait", "image": "argoexec"}, each["container"]],
        "nodeSelector": each.get("nodeSelector") or {}, "tolerations": each.get("tolerations") or []}}
    made = {"metadata": {k: v for k, v in made["metadata"].items() if v}, "spec": {k: v for k, v in made["spec"].items() if v}}
    namespace = alpha.one("Namespace", "metaflow-jobs")["metadata"]["labels"]
    stored, refusals = admit(alpha.kind("MutatingPolicy") + alpha.kind("ValidatingPolicy"), made, namespace)
    assert refusals == [] and stored["spec"]["nodeSelector"][TIER] == tier


def test_scientists_may_deploy_run_and_watch_and_no_more(alpha):
    rules = alpha.one("Role", "metaflow-scientist")["rules"]
    allowed = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    for resource in ("workflowtemplates", "cronworkflows", "sensors", "workflows", "jobs"):
        assert {(resource, verb) for verb in ("create", "get", "delete", "patch")} <= allowed
    assert ("pods/log", "get") in allowed
    forbidden = {"secrets", "pods/exec", "roles", "rolebindings", "serviceaccounts", "serviceaccounts/token", "configmaps", "*"}
    assert not forbidden & {resource for resource, _ in allowed}
    assert ("pods", "create") not in allowed
    assert alpha.one("Role", "metaflow-scientist")["metadata"]["namespace"] == "metaflow-jobs"


# ---- The charts' values ----------------------------------------------------------------------------------------------------------


def chart(name):
    return yaml.safe_load((ROOT / "deploy/kubernetes/charts" / f"{name}.yaml").read_text())


def versions():
    lines = (ROOT / "deploy/kubernetes/charts/versions.txt").read_text().splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines if line and not line.startswith("#")}


def test_every_chart_is_pinned_and_has_its_values():
    for name, (namespace, _, version, _) in versions().items():
        assert (ROOT / "deploy/kubernetes/charts" / f"{name}.yaml").exists()
        assert version[0].isdigit() and version.count(".") == 2 and namespace


def test_kyverno_is_new_enough_for_the_policies(alpha):
    """policies.kyverno.io/v1 came with Kyverno 1.17, chart 3.7."""
    assert {each["apiVersion"] for kind in ("MutatingPolicy", "ValidatingPolicy") for each in alpha.kind(kind)} == {"policies.kyverno.io/v1"}
    assert tuple(map(int, versions()["kyverno"][2].split(".")))[:2] >= (3, 7)
    assert chart("kyverno")["admissionController"]["replicas"] >= 3


def test_thousands_of_branches_fit():
    controller = chart("argo-workflows")["controller"]
    assert controller["persistence"]["nodeStatusOffLoad"] is True, "Kubernetes stores 1.5 MB of an object; 3,000 branches are more"
    assert controller["persistence"]["archive"] is True


def test_the_controller_s_database_secret_is_the_one_that_is_mounted(alpha):
    controller = chart("argo-workflows")["controller"]
    made = alpha.one("SecretProviderClass", "database", "argo")
    secret, = made["spec"]["secretObjects"]
    postgresql = controller["persistence"]["postgresql"]
    assert postgresql["userNameSecret"] == {"name": secret["secretName"], "key": "username"}
    assert postgresql["passwordSecret"] == {"name": secret["secretName"], "key": "password"}
    assert controller["volumes"][0]["csi"]["volumeAttributes"]["secretProviderClass"] == made["metadata"]["name"]
    assert postgresql["ssl"] is True and postgresql["sslMode"] == "require"
    restarted = alpha.one("Role", "restart", "argo")["rules"][0]["resourceNames"]
    assert restarted == [f"{chart('argo-workflows')['fullnameOverride']}-workflow-controller"]


def test_the_charts_leave_accounts_and_roles_of_steps_to_us():
    values = chart("argo-workflows")
    assert values["workflow"]["serviceAccount"]["create"] is False and values["workflow"]["rbac"]["create"] is False
    assert values["server"]["serviceType"] == "ClusterIP" and values["server"]["ingress"]["enabled"] is False
