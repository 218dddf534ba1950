"""deploy/stacks.sh, with stand-ins for AWS and the cluster that keep the rules of exports and imports."""

import base64
import functools
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from kustomize import kubectl, overlay
from templates import ROOT, STACKS, STAGES, exports, first_revocation_file, imports, parameters, template

SCRIPT = ROOT / "deploy" / "stacks.sh"
HERE = ROOT / "Tests" / "Deploy"
FLOWS = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [
    {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": {"name": "nightly", "namespace": "metaflow-jobs", "uid": "1", "resourceVersion": "7", "managedFields": [{}]}, "spec": {"schedule": "0 6 * * *"}, "status": {"active": []}},
    {"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": "promiseflow", "namespace": "metaflow-jobs"}, "spec": {"replicas": 1}},
]}


@functools.cache
def graph():
    """What the stand-in needs of each template."""
    return json.dumps({name: {
        "exports": sorted(exports(name)), "imports": sorted(imports(name)), "outputs": sorted(template(name)["Outputs"]),
        "parameters": {key: "Default" in value for key, value in template(name)["Parameters"].items()},
        "resources": {key: value["Type"] for key, value in template(name)["Resources"].items()},
    } for name in STACKS})


class Platform:
    """A stage's account and cluster, and how the script is run there."""

    def __init__(self, folder, stage="alpha"):
        self.folder, self.stage = folder, stage
        programs = folder / "bin"
        programs.mkdir()
        for name in ("aws", "kubectl", "helm", "metaflow-gateway"):
            (programs / name).symlink_to(HERE / "stand_in.py")
        self.environment = {
            "PATH": f"{programs}:{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "STAND_IN": str(folder), "STAGE": stage,
            "ACCOUNT": parameters(stage)["Account"], "STACKS_POLL_SECONDS": "0", "REAL_KUBECTL": kubectl(), "FLOWS": json.dumps(FLOWS), "PYTHONDONTWRITEBYTECODE": "1",
            "OUTPUTS": json.dumps(self.outputs()), "GRAPH": str(folder / "graph.json"),
        }
        (folder / "graph.json").write_text(graph())

    def outputs(self):
        """As the auth stack would answer whose ids the stage file names."""
        stage = yaml.safe_load((ROOT / "config" / "stages" / f"{self.stage}.yaml").read_text())
        identity, command_line = stage["identity"], stage["command_line_api"]
        bucket = command_line["settings"]["METAFLOW_DATASTORE_SYSROOT_S3"].removeprefix("s3://").removesuffix("/metaflow")
        clients = {each["name"]: each["id"] for each in identity["clients"]}
        return {"UserPoolId": identity["cognito"]["user_pool"], "LoginDomain": identity["cognito"]["domain"], "BrowserClientId": identity["browser_client"]["id"],
                "CommandLineClientId": clients["command-line"], "MachineClientId": clients["nightly-jobs"], "StageHost": parameters(self.stage)["StageHost"],
                "IdentityPoolId": command_line["identity_pool"]["id"], "ArtifactBucket": bucket}

    def run(self, *arguments, answer="", **environment):
        return subprocess.run(["bash", SCRIPT, *arguments], env=self.environment | environment, capture_output=True, text=True, input=answer, timeout=300)

    def calls(self, program=None):
        file = self.folder / "calls.jsonl"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [each for each in calls if program in (None, each["program"])]

    def stacks(self, verb):
        return [each["arguments"][each["arguments"].index("--stack-name") + 1].rsplit("-", 1)[-1] for each in self.calls("aws") if each["arguments"][:2] == ["cloudformation", verb]]

    def standing(self):
        file = self.folder / "state.json"
        return {name.rsplit("-", 1)[-1] for name in json.loads(file.read_text())["stacks"]} if file.exists() else set()

    def forget_calls(self):
        (self.folder / "calls.jsonl").unlink()


@pytest.fixture
def platform(tmp_path):
    return Platform(tmp_path)


@pytest.fixture(scope="module")
def one_deploy(tmp_path_factory):
    """A whole deploy, once; each test goes on from a copy of what it left."""
    platform = Platform(tmp_path_factory.mktemp("deploy"))
    done = platform.run("deploy", "alpha", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    return platform.folder, done.stdout


@pytest.fixture
def deployed(platform, one_deploy):
    folder, platform.output = one_deploy
    for name in ("state.json", "calls.jsonl"):
        shutil.copy(folder / name, platform.folder / name)
    return platform


def test_a_deploy_makes_the_six_in_order(deployed):
    assert deployed.stacks("execute-change-set") == list(STACKS)
    assert deployed.standing() == set(STACKS)


def test_each_wait_is_visible(deployed):
    for name in STACKS:
        assert f"metaflow-alpha-{name} CREATE_COMPLETE after" in deployed.output
    assert "Network  CREATE_COMPLETE" in deployed.output
    assert "ready  https://alpha.metaflow.simulation.amazon.dev" in deployed.output


def test_stacks_that_hold_data_are_protected_and_have_their_policy(deployed):
    assert set(deployed.stacks("update-termination-protection")) == {"vpc", "data", "auth", "dns"}
    assert set(deployed.stacks("set-stack-policy")) == {"data", "auth", "dns"}


def test_the_cluster_gets_what_the_stacks_exported(deployed):
    applied = [each["read"] for each in deployed.calls("kubectl") if each["arguments"][0] == "apply" and each["read"]]
    definitions = [each for each in yaml.safe_load_all(applied[0]) if each]
    assert {each["kind"] for each in definitions} == {"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "SecretProviderClass",
                                                   "ClusterRole", "ClusterRoleBinding"}, "what the charts of the next step need"
    entry, = yaml.safe_load(next(each for each in definitions if each["kind"] == "SecretProviderClass")["spec"]["parameters"]["objects"])
    assert entry["objectName"] == "metaflow-alpha-data-DatabaseSecretArn", "the stack's output, not the example in git"


def test_controllers_come_before_what_they_read(deployed):
    order = [(each["program"], each["arguments"]) for each in deployed.calls() if each["program"] in ("kubectl", "helm")]
    first_apply = next(i for i, (program, a) in enumerate(order) if program == "kubectl" and a[0] == "apply")
    charts = [i for i, (program, _) in enumerate(order) if program == "helm"]
    everything = next(i for i, (program, a) in enumerate(order) if program == "kubectl" and a[0] == "apply" and a[-1].endswith("rendered.yaml"))
    assert first_apply < min(charts) and max(charts) < everything and len(charts) == 5
    host = [a for program, a in order if program == "helm" and "argo-workflows" in a][0]
    assert "controller.persistence.postgresql.host=metaflow-alpha-data-DatabaseEndpoint" in host


def test_a_secret_never_stands_in_an_argument_or_on_the_screen(deployed):
    assert "the-client-secret" not in deployed.output
    for each in deployed.calls():
        assert not any("the-client-secret" in argument for argument in each["arguments"]), each
    made = {each["arguments"][each["arguments"].index("generic") + 1]: each["read"] for each in deployed.calls("kubectl") if "generic" in each["arguments"]}
    assert made == {"gateway-login-keys": '{"keys": []}\n', "alpha-browser-client": "the-client-secret"}


def test_the_certificate_is_there_before_the_gateway_is_waited_for(deployed):
    calls = [" ".join(each["arguments"]) for each in deployed.calls("kubectl")]
    job = next(i for i, call in enumerate(calls) if "create job certificate-export-first" in call)
    rollout = next(i for i, call in enumerate(calls) if "rollout status deployment/gateway" in call)
    assert job < rollout


def test_a_second_deploy_changes_no_stack_and_keeps_the_key_ring(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes")
    assert done.returncode == 0, done.stderr
    assert deployed.stacks("execute-change-set") == []
    assert done.stdout.count("nothing to change") == len(STACKS)
    assert not [each for each in deployed.calls() if "gateway-login-keys" in each["arguments"] and "create" in each["arguments"]]


def test_a_plan_changes_nothing(platform):
    done = platform.run("plan", "alpha")
    assert done.returncode == 0, done.stderr
    assert platform.stacks("execute-change-set") == [] and platform.standing() == set()
    assert "Add  AWS::EC2::VPC  Network" in done.stdout
    assert "data: cannot be planned before the stacks that it imports from exist" in done.stdout
    assert not platform.calls("kubectl") and not platform.calls("helm")


def test_without_a_yes_nothing_is_changed(platform):
    done = platform.run("deploy", "alpha", answer="no\n")
    assert done.returncode == 1 and "nothing was done" in done.stderr
    assert platform.stacks("execute-change-set") == []


def test_a_stack_that_fails_stops_the_rest_and_says_so(platform):
    done = platform.run("deploy", "alpha", "--yes", REFUSE="eks")
    assert done.returncode == 1 and "metaflow-alpha-eks: Resource handler returned message: refused" in done.stderr
    assert platform.stacks("execute-change-set") == ["vpc", "data"]
    assert not platform.calls("helm")


def test_ids_that_the_stage_file_does_not_name_are_printed_and_stop_the_deploy(platform):
    outputs = json.dumps(platform.outputs() | {"UserPoolId": "us-west-2_Real12345", "BrowserClientId": "realbrowserid", "ArtifactBucket": "real-bucket"})
    done = platform.run("deploy", "alpha", "--yes", OUTPUTS=outputs)
    assert done.returncode == 1
    assert "identity.cognito.user_pool: us-west-2_Real12345" in done.stderr and "identity.browser_client.id: realbrowserid" in done.stderr
    assert "METAFLOW_DATASTORE_SYSROOT_S3: s3://real-bucket/metaflow" in done.stderr
    assert "clients[command-line]" not in done.stderr and "identity_pool" not in done.stderr
    assert not platform.calls("helm") and "ingress" not in platform.stacks("execute-change-set")


def test_a_deploy_begins_with_nobody_locked_out_and_the_next_leaves_who_is(deployed):
    def made():
        return [each["arguments"][-1] for each in deployed.calls("kubectl") if "create" in each["arguments"] and "gateway-revocation" in each["arguments"]]
    assert made() == [f"--from-literal=revocation.json={first_revocation_file()}"]
    deployed.forget_calls()
    assert deployed.run("deploy", "alpha", "--yes").returncode == 0
    assert not made()


def test_an_image_that_nobody_pushed_stops_the_deploy_before_the_cluster_waits_for_it(platform):
    done = platform.run("deploy", "alpha", "--yes", WITHOUT="ecr")
    assert done.returncode == 1
    assert "docker build --platform linux/amd64" in done.stderr and "docker push 111111111111.dkr.ecr.us-west-2.amazonaws.com/metaflow-gateway:" in done.stderr
    assert not platform.calls("helm") and "ingress" not in platform.stacks("execute-change-set")


@pytest.mark.parametrize("without, sentence", [("cognito-idp", ""), ("metaflow-gateway", "gave no key ring")])
def test_a_secret_whose_owner_does_not_answer_is_not_stored_empty(platform, without, sentence):
    done = platform.run("deploy", "alpha", "--yes", WITHOUT=without)
    assert done.returncode != 0 and sentence in done.stderr
    stored = [each["arguments"][each["arguments"].index("generic") + 1] for each in platform.calls("kubectl") if "generic" in each["arguments"]]
    assert stored == (["gateway-login-keys"] if without == "cognito-idp" else [])


def test_a_key_ring_that_nothing_can_make_is_asked_for_by_name(platform):
    done = platform.run("deploy", "alpha", "--yes", METAFLOW_GATEWAY="/nowhere/metaflow-gateway")
    assert done.returncode == 1 and "name a built one in METAFLOW_GATEWAY" in done.stderr
    assert not [each for each in platform.calls("kubectl") if "generic" in each["arguments"]]


# ---- Rebuild ---------------------------------------------------------------------------------------------------------------------


def test_a_rebuild_deletes_and_makes_the_cluster_s_two_stacks_and_no_other(deployed):
    deployed.forget_calls()
    done = deployed.run("rebuild-compute", "alpha", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deployed.stacks("delete-stack") == ["ingress", "eks"]
    assert deployed.stacks("execute-change-set") == ["eks", "ingress"]
    assert deployed.standing() == set(STACKS)


def test_deployed_flows_leave_before_the_cluster_and_come_back(deployed):
    deployed.forget_calls()
    done = deployed.run("rebuild-compute", "alpha", "--yes")
    calls = deployed.calls()
    def index(test):
        return next(i for i, each in enumerate(calls) if test(each["program"], " ".join(each["arguments"])))
    saved = index(lambda program, a: program == "aws" and a.startswith("s3 cp") and a.endswith(f"s3://{deployed.outputs()['ArtifactBucket']}/platform/deployed-flows.json"))
    gone = index(lambda program, a: program == "aws" and "delete-stack" in a)
    back = index(lambda program, a: program == "kubectl" and a.endswith("deployed-flows.json") and "apply" in a)
    assert saved < gone < back
    kept = json.loads(json.loads((deployed.folder / "state.json").read_text())["saved"]["deployed-flows.json"])
    assert [each["metadata"] for each in kept["items"]] == [{"name": "nightly", "namespace": "metaflow-jobs"}, {"name": "promiseflow", "namespace": "metaflow-jobs"}]
    assert kept["items"][0]["spec"] == {"schedule": "0 6 * * *"} and "status" not in kept["items"][0]
    assert "2 saved" in done.stdout and "2 come back" in done.stdout


def test_browser_logins_outlive_a_rebuild(deployed):
    deployed.forget_calls()
    state = json.loads((deployed.folder / "state.json").read_text())
    (deployed.folder / "state.json").write_text(json.dumps(state | {"secrets": []}))  # The new cluster has none.
    done = deployed.run("rebuild-compute", "alpha", "--yes", KEY_RING=base64.b64encode(b'{"keys": ["old"]}').decode())
    assert done.returncode == 0, done.stdout + done.stderr
    made = {each["arguments"][each["arguments"].index("generic") + 1]: each["read"] for each in deployed.calls("kubectl") if "generic" in each["arguments"]}
    assert made["gateway-login-keys"] == '{"keys": ["old"]}\n' and '"old"' not in done.stdout + done.stderr
    assert not deployed.calls("metaflow-gateway")


LOCKED_OUT = '{"version": 1, "entries": [{"sub": "a1b2", "until": 4102444800, "reason": "left \'the\' team"}]}'


def empty_cluster(platform):
    """As a rebuild makes it: none of the objects that stacks.sh makes once."""
    file = platform.folder / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"secrets": []}))
    platform.forget_calls()


def locked_out(platform):
    """What the script put into the cluster's gateway-revocation, which is made once or not at all."""
    calls = [each for each in platform.calls("kubectl") if "create" in each["arguments"] and "gateway-revocation" in each["arguments"]]
    assert len(calls) < 2
    return [each["read"].strip() or each["arguments"][-1].removeprefix("--from-literal=revocation.json=") for each in calls]


def test_who_is_locked_out_stays_so_over_a_rebuild(deployed):
    empty_cluster(deployed)
    done = deployed.run("rebuild-compute", "alpha", "--yes", REVOCATION=json.dumps({"revocation.json": LOCKED_OUT}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert locked_out(deployed) == [LOCKED_OUT] and "gateway-revocation.json, entries: 1" in done.stdout and "nobody is locked out" not in done.stdout


def test_who_is_locked_out_stays_so_when_the_rebuild_ends_between_the_two_clusters(deployed):
    empty_cluster(deployed)
    done = deployed.run("rebuild-compute", "alpha", "--yes", REFUSE="eks", REVOCATION=json.dumps({"revocation.json": LOCKED_OUT}))
    assert done.returncode == 1 and locked_out(deployed) == []
    again = deployed.run("deploy", "alpha", "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert locked_out(deployed) == [LOCKED_OUT]


def test_a_cluster_without_the_list_takes_the_one_that_was_saved(deployed):
    empty_cluster(deployed)
    state = json.loads((deployed.folder / "state.json").read_text())
    (deployed.folder / "state.json").write_text(json.dumps(state | {"saved": {"gateway-revocation.json": LOCKED_OUT}}))
    done = deployed.run("rebuild-compute", "alpha", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert locked_out(deployed) == [LOCKED_OUT]


@pytest.mark.parametrize("change, sentence", [
    ({"WITHOUT": "gateway-revocation"}, "does not say who is locked out"),
    ({"REVOCATION": json.dumps({"revocation.json": "{"})}, "mend it, nothing was deleted"),
    ({"REVOCATION": json.dumps({})}, "mend it, nothing was deleted"),
])
def test_a_cluster_that_does_not_say_who_is_locked_out_is_not_deleted(deployed, change, sentence):
    empty_cluster(deployed)
    done = deployed.run("rebuild-compute", "alpha", "--yes", **change)
    assert done.returncode == 1 and sentence in done.stderr
    assert deployed.stacks("delete-stack") == [] and deployed.standing() == set(STACKS)


def test_a_bucket_that_does_not_answer_lets_nobody_in(deployed):
    empty_cluster(deployed)
    done = deployed.run("deploy", "alpha", "--yes", WITHOUT="s3api")
    assert done.returncode != 0 and locked_out(deployed) == []


# ---- A configuration that is weaker ----------------------------------------------------------------------------------------------

GATEWAY = os.environ.get("METAFLOW_GATEWAY")
needs_gateway = pytest.mark.skipif(not GATEWAY, reason="METAFLOW_GATEWAY names no built gateway: stacks.sh was NOT tried with a weaker configuration")


def live(change=lambda text: text):
    """The cluster's ConfigMap, as if the stage's file had been this when it was applied."""
    return {"CONFIGURATION": json.dumps({
        "gateway.yaml": (ROOT / "deploy/kubernetes/base/gateway/gateway.yaml").read_text(), "stage.yaml": change((ROOT / "config/stages/alpha.yaml").read_text()),
    })}


def stricter(text):
    changed = text.replace("  groups: [science]\n", "  groups: [owners]\n", 1)
    assert changed != text
    return changed


def what_was_applied(platform):
    return [each for each in platform.calls("kubectl") if each["arguments"][0] == "apply"]


@needs_gateway
@pytest.mark.parametrize("command", ["deploy", "rebuild-compute"])
def test_a_configuration_weaker_than_the_cluster_s_is_not_applied(deployed, command):
    deployed.forget_calls()
    done = deployed.run(command, "alpha", "--yes", METAFLOW_GATEWAY=GATEWAY, **live(stricter))
    assert done.returncode == 1 and "weaker than the cluster's" in done.stderr and "nothing was applied" in done.stderr
    assert re.search(r'config/stages/alpha\.yaml:\d+:\d+: .* lets in group science too, .* approve: \["', done.stdout), "what becomes weaker, where, and what approves it"
    assert not what_was_applied(deployed) and not deployed.calls("helm") and deployed.stacks("delete-stack") == []


@needs_gateway
def test_it_is_applied_when_it_is_accepted(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", "--accept-weaker", METAFLOW_GATEWAY=GATEWAY, **live(stricter))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted although it is WEAKER" in done.stdout and what_was_applied(deployed)


@needs_gateway
def test_a_configuration_that_cannot_be_held_against_the_cluster_s_is_not_applied(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", METAFLOW_GATEWAY=GATEWAY, **live(lambda text: text + "setting_of_another_version: 1\n"))
    assert done.returncode == 1 and "cannot be held against it" in done.stderr and not what_was_applied(deployed)
    assert "live/stage.yaml" in done.stdout and "setting_of_another_version" in done.stdout


@needs_gateway
def test_a_configuration_that_is_not_weaker_is_applied_without_a_question(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", METAFLOW_GATEWAY=GATEWAY, **live())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "configuration: not weaker than the cluster's" in done.stdout and what_was_applied(deployed)


def test_a_configuration_with_faults_is_not_applied(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", METAFLOW_GATEWAY=faulty_gateway(deployed), **live())
    assert done.returncode == 1 and "has faults (above)" in done.stderr and not what_was_applied(deployed)


def faulty_gateway(platform):
    program = platform.folder / "faulty"
    program.write_text('#!/bin/sh\n[ "$1" != check ] || { echo "new/stage.yaml:1:1: a fault"; exit 1; }\n')
    program.chmod(0o755)
    return str(program)


def test_a_cluster_that_does_not_tell_its_configuration_gets_no_other(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", WITHOUT="gateway-configuration")
    assert done.returncode == 1 and "nothing was applied" in done.stderr and not what_was_applied(deployed)


def test_without_the_program_the_deploy_says_that_it_judged_nothing(deployed):
    deployed.forget_calls()
    done = deployed.run("deploy", "alpha", "--yes", METAFLOW_GATEWAY="/nowhere/metaflow-gateway", **live())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT held against the cluster's" in done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_judged_is_what_is_rendered(stage):
    """stacks.sh reads the two files themselves: no patch of an overlay may change them on the way."""
    data = overlay(stage).one("ConfigMap", "gateway-configuration")["data"]
    assert data == {"gateway.yaml": (ROOT / "deploy/kubernetes/base/gateway/gateway.yaml").read_text(), "stage.yaml": (ROOT / f"config/stages/{stage}.yaml").read_text()}


def test_a_cluster_whose_image_is_gone_is_not_deleted(deployed):
    deployed.forget_calls()
    done = deployed.run("rebuild-compute", "alpha", "--yes", WITHOUT="ecr")
    assert done.returncode == 1 and "docker push" in done.stderr
    assert deployed.stacks("delete-stack") == [] and deployed.standing() == set(STACKS)


def test_a_cluster_whose_flows_cannot_be_read_is_not_deleted(deployed):
    deployed.forget_calls()
    done = deployed.run("rebuild-compute", "alpha", "--yes", FLOWS=json.dumps({"kind": "Status", "status": "Failure"}))
    assert done.returncode != 0
    assert deployed.stacks("delete-stack") == [] and deployed.standing() == set(STACKS)


# ---- Destroy ---------------------------------------------------------------------------------------------------------------------


def test_destroy_leaves_data_and_its_network(deployed):
    deployed.forget_calls()
    done = deployed.run("destroy", "alpha", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deployed.stacks("delete-stack") == ["ingress", "dns", "auth", "eks"]
    assert deployed.standing() == {"vpc", "data"}
    assert "data: stays" in done.stdout


@pytest.mark.parametrize("options", [
    ["--with-data"], ["--with-data", "--yes-the-data-of", "prod"], ["--with-data", "--yes-the-data-of", ""], ["--yes-the-data-of", "alpha"],
])
def test_data_must_be_told_twice(deployed, options):
    deployed.forget_calls()
    done = deployed.run("destroy", "alpha", "--yes", *options)
    assert done.returncode == 1 and ("told twice" in done.stderr or "does nothing without" in done.stderr)
    assert deployed.stacks("delete-stack") == [] and deployed.standing() == set(STACKS)


def test_told_twice_the_data_stack_goes_and_what_it_retains_is_named(deployed):
    done = deployed.run("destroy", "alpha", "--yes", "--with-data", "--yes-the-data-of", "alpha")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deployed.standing() == {"vpc"}
    assert "Retained" in done.stdout and "bucket" in done.stdout


def test_protection_is_lifted_only_from_what_is_deleted(deployed):
    deployed.forget_calls()
    deployed.run("destroy", "alpha", "--yes")
    lifted = [each["arguments"][each["arguments"].index("--stack-name") + 1].rsplit("-", 1)[-1] for each in deployed.calls("aws") if "--no-enable-termination-protection" in each["arguments"]]
    assert lifted == ["dns", "auth"]


# ---- Mistakes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, sentence", [
    (["deploy", "beta"], "there is no stage beta"),
    (["deploy", "alpha", "--with-data"], "never touches data"),
    (["rebuild-compute", "alpha", "--with-data", "--yes-the-data-of", "alpha"], "never touches data"),
    (["deploy", "alpha", "--force"], "unknown option --force"),
    (["destroy", "alpha", "--accept-weaker"], "applies no configuration"),
    (["deploy"], "deploy/stacks.sh plan STAGE"),
    (["explode", "alpha"], "deploy/stacks.sh plan STAGE"),
])
def test_a_mistake_is_one_clear_line_and_touches_nothing(platform, arguments, sentence):
    done = platform.run(*arguments)
    assert done.returncode in (1, 2) and sentence in done.stderr
    assert not [each for each in platform.calls("aws") if each["arguments"][0] != "sts"]


def test_the_wrong_account_is_refused(platform):
    done = platform.run("deploy", "alpha", "--yes", ACCOUNT="999999999999")
    assert done.returncode == 1 and "these credentials are for account 999999999999; alpha lives in 111111111111" in done.stderr
    assert platform.stacks("create-change-set") == []


def test_help_says_how(platform):
    done = platform.run("--help")
    assert done.returncode == 0 and "rebuild-compute STAGE" in done.stdout and not platform.calls()
