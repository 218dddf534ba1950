"""Which compute tier a step goes to, or why it is refused: a table of pods against the policies' own text."""

import pytest

from admission import admit

TIER = "metaflow.simulation.amazon.dev/tier"
TIERS = {
    "cpu-only": {"eks.amazonaws.com/instance-category": ["c", "m", "r"]},
    "standard-gpu": {"eks.amazonaws.com/instance-family": ["g5", "g6", "g6e"]},
    "top-tier-gpu": {"eks.amazonaws.com/instance-family": ["p4d", "p4de", "p5", "p5e", "p5en", "p6-b200"]},
}


def pod(gpus=None, cpu="1", memory="4096M", labels=None, selector=None, tolerations=None, limits=None, more=(), annotations=None):
    """As Metaflow makes it: requests for CPU and memory, limits for GPUs, as text."""
    main = {"name": "main", "image": "python:3.11", "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": dict(limits or {})}}
    if gpus is not None:
        main["resources"]["limits"]["nvidia.com/gpu"] = gpus
    made = {"metadata": {"name": "step"}, "spec": {"containers": [main, *more]}}
    if labels is not None:
        made["metadata"]["labels"] = labels
    if annotations is not None:
        made["metadata"]["annotations"] = annotations
    if selector is not None:
        made["spec"]["nodeSelector"] = selector
    if tolerations is not None:
        made["spec"]["tolerations"] = tolerations
    return made


@pytest.fixture
def policies(alpha):
    return alpha.kind("MutatingPolicy") + alpha.kind("ValidatingPolicy")


@pytest.fixture
def jobs(alpha):
    return alpha.one("Namespace", "metaflow-jobs")["metadata"]["labels"] | {"kubernetes.io/metadata.name": "metaflow-jobs"}


SIDECAR = {"name": "wait", "image": "argoexec"}
GOES_TO = [
    # What the step asked for, and its tier.
    ("nothing", pod(), "cpu-only"),
    ("two CPUs", pod(cpu="2"), "cpu-only"),
    ("a fraction of a CPU", pod(cpu="250m", memory="128Mi"), "cpu-only"),
    ("numbers and not text", pod(gpus=1, cpu=4), "standard-gpu"),
    ("the largest machine without GPU", pod(cpu="188", memory="1460Gi"), "cpu-only"),
    ("no resources at all", {"metadata": {"name": "s"}, "spec": {"containers": [{"name": "main", "image": "i"}]}}, "cpu-only"),
    ("limits without GPU", pod(limits={"memory": "8Gi"}), "cpu-only"),
    ("zero GPUs", pod(gpus="0"), "cpu-only"),
    ("one GPU", pod(gpus="1"), "standard-gpu"),
    ("two GPUs", pod(gpus="2", cpu="16", memory="64000M"), "standard-gpu"),
    ("four GPUs", pod(gpus="4"), "standard-gpu"),
    ("five GPUs", pod(gpus="5"), "top-tier-gpu"),
    ("eight GPUs", pod(gpus="8", cpu="96", memory="1000000M"), "top-tier-gpu"),
    ("eight GPUs and the memory of a p5", pod(gpus="8", memory="1960Gi"), "top-tier-gpu"),
    ("one H100, by label", pod(gpus="1", labels={TIER: "top-tier-gpu"}), "top-tier-gpu"),
    ("eight A10G, by label", pod(gpus="8", labels={TIER: "standard-gpu"}), "standard-gpu"),
    ("the tier by node selector", pod(gpus="1", selector={TIER: "top-tier-gpu"}), "top-tier-gpu"),
    ("label before selector", pod(gpus="1", labels={TIER: "standard-gpu"}, selector={TIER: "top-tier-gpu"}), "standard-gpu"),
    ("cpu-only by label", pod(labels={TIER: "cpu-only"}), "cpu-only"),
    ("other labels", pod(labels={"app.kubernetes.io/part-of": "metaflow"}), "cpu-only"),
    ("a node selector of its own", pod(selector={"topology.kubernetes.io/zone": "us-west-2a"}), "cpu-only"),
    ("tolerations of its own", pod(gpus="1", tolerations=[{"key": "x", "operator": "Exists"}]), "standard-gpu"),
    ("a toleration without key", pod(gpus="1", tolerations=[{"operator": "Exists"}]), "standard-gpu"),
    ("annotations of its own", pod(annotations={"metaflow/flow_name": "F"}), "cpu-only"),
    ("a sidecar without resources", pod(gpus="1", more=[SIDECAR]), "standard-gpu"),
    ("GPUs in two containers", pod(gpus="4", more=[{"name": "b", "resources": {"limits": {"nvidia.com/gpu": "4"}}}]), "top-tier-gpu"),
    ("a picked family with its tier", pod(gpus="1", labels={TIER: "standard-gpu"}, selector={"eks.amazonaws.com/instance-family": "g6e"}), "standard-gpu"),
]
REFUSED = [
    # What the step asked for, and what the sentence must say.
    ("nine GPUs", pod(gpus="9"), "@parallel"),
    ("sixteen GPUs on two containers", pod(gpus="8", more=[{"name": "b", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]), "16 GPUs"),
    ("a tier that is not there", pod(labels={TIER: "mega-gpu"}), 'no compute tier "mega-gpu"'),
    ("a tier in capitals", pod(gpus="1", labels={TIER: "Top-Tier-GPU"}), "no compute tier"),
    ("a GPU on cpu-only", pod(gpus="1", labels={TIER: "cpu-only"}), "names the tier cpu-only"),
    ("standard-gpu without GPU", pod(labels={TIER: "standard-gpu"}), "asks for no GPU"),
    ("top-tier-gpu without GPU", pod(selector={TIER: "top-tier-gpu"}), "asks for no GPU"),
    ("too many CPUs", pod(cpu="189"), "188 to give"),
    ("CPUs over two containers", pod(cpu="100", more=[{"name": "b", "resources": {"requests": {"cpu": "100000m"}}}]), "188 to give"),
    ("too much memory", pod(memory="1461Gi"), "1460 GiB"),
    ("too much memory in Metaflow's unit", pod(memory="2000000M"), "1460 GiB"),
    ("too much memory for a top GPU machine", pod(gpus="8", memory="1961Gi"), "1960 GiB"),
    ("too much memory for a standard one", pod(gpus="1", memory="1500Gi"), "1460 GiB"),
    ("AMD", pod(limits={"amd.com/gpu": "1"}), "NVIDIA"),
    ("Trainium", pod(limits={"aws.amazon.com/neuron": "1"}), "NVIDIA"),
    ("a machine without its tier", pod(gpus="1", selector={"node.kubernetes.io/instance-type": "p5.48xlarge"}), "must also name the tier"),
    ("a family without its tier", pod(gpus="8", selector={"eks.amazonaws.com/instance-family": "p5"}), "must also name the tier"),
    ("a controller's label, with a GPU", pod(gpus="1", labels={"controller": "sensor-controller"}), "no compute tier"),
]


@pytest.mark.parametrize("asked, made, tier", GOES_TO, ids=[row[0] for row in GOES_TO])
def test_a_step_goes_to_its_tier(policies, jobs, asked, made, tier):
    stored, refusals = admit(policies, made, jobs)
    assert refusals == []
    assert stored["spec"]["nodeSelector"][TIER] == tier
    assert {"key": TIER, "operator": "Equal", "value": tier, "effect": "NoSchedule"} in stored["spec"]["tolerations"]


@pytest.mark.parametrize("asked, made, sentence", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_has_no_tier_is_refused_with_the_remedy(policies, jobs, asked, made, sentence):
    _, refusals = admit(policies, made, jobs)
    assert any(sentence in each for each in refusals), refusals


@pytest.mark.parametrize("made", [row[1] for row in GOES_TO], ids=[row[0] for row in GOES_TO])
def test_what_the_step_brought_is_kept_and_it_is_not_moved_while_it_runs(policies, jobs, made):
    stored, _ = admit(policies, made, jobs)
    assert stored["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    assert (made["metadata"].get("annotations") or {}).items() <= stored["metadata"]["annotations"].items()
    brought = {key: value for key, value in (made["spec"].get("nodeSelector") or {}).items() if key != TIER}
    assert brought.items() <= stored["spec"]["nodeSelector"].items()
    assert all(each in stored["spec"]["tolerations"] for each in made["spec"].get("tolerations") or [])
    assert stored["spec"]["containers"] == made["spec"]["containers"]


@pytest.mark.parametrize("made", [row[1] for row in GOES_TO], ids=[row[0] for row in GOES_TO])
def test_a_second_pass_changes_nothing(policies, jobs, made):
    once, _ = admit(policies, made, jobs)
    twice, refusals = admit(policies, once, jobs)
    assert (twice, refusals) == (once, [])


@pytest.mark.parametrize("controller", ["eventbus-controller", "eventsource-controller", "sensor-controller"])
def test_argo_events_stays_on_the_platform_s_own_nodes(policies, jobs, controller):
    made = pod(labels={"controller": controller})
    assert admit(policies, made, jobs) == (made, [])


def test_other_namespaces_are_left_alone(policies, alpha):
    for namespace in alpha.kind("Namespace"):
        if namespace["metadata"]["name"] not in ("metaflow-jobs", "metaflow-gateway", "external-dns"):
            assert admit(policies, pod(gpus="9"), namespace["metadata"]["labels"] | {"kubernetes.io/metadata.name": namespace["metadata"]["name"]}) == (pod(gpus="9"), [])


@pytest.mark.parametrize("root, refused", [(True, False), (False, True), (None, True)])
def test_the_platform_s_own_programs_may_not_write_to_their_images(policies, root, refused):
    made = pod()
    if root is not None:
        made["spec"]["containers"][0]["securityContext"] = {"readOnlyRootFilesystem": root}
    _, refusals = admit(policies, made, {"kubernetes.io/metadata.name": "metaflow-gateway"})
    assert bool(refusals) == refused


# ---- The pools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TIERS)
def test_a_tier_has_its_pool(alpha, name):
    template = alpha.one("NodePool", name)["spec"]["template"]
    assert template["metadata"]["labels"] == {TIER: name} | {k: v for k, v in template["metadata"]["labels"].items() if k != TIER}
    assert template["spec"]["taints"] == [{"key": TIER, "value": name, "effect": "NoSchedule"}]
    requirements = {each["key"]: each for each in template["spec"]["requirements"]}
    for key, values in TIERS[name].items():
        assert (requirements[key]["operator"], requirements[key]["values"]) == ("In", values)
    if name == "cpu-only":
        generation = requirements["eks.amazonaws.com/instance-generation"]
        assert (generation["operator"], generation["values"]) == ("Gt", ["4"])
    assert template["spec"]["nodeClassRef"]["group"] == "eks.amazonaws.com" and template["spec"]["nodeClassRef"]["kind"] == "NodeClass"
    assert template["spec"]["nodeClassRef"]["name"] in {each["metadata"]["name"] for each in alpha.kind("NodeClass")}


@pytest.mark.parametrize("name", TIERS)
def test_a_pool_scales_to_zero_and_has_a_ceiling(alpha, name):
    spec = alpha.one("NodePool", name)["spec"]
    assert spec["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert {"nodes": "100%", "reasons": ["Empty"]} in spec["disruption"]["budgets"]
    assert "replicas" not in spec, "static capacity would never go"
    assert "cpu" in spec["limits"] and ("nvidia.com/gpu" in spec["limits"]) == (name != "cpu-only")


def test_the_tiers_of_policies_and_pools_are_the_same_three(alpha):
    assert {each["metadata"]["name"] for each in alpha.kind("NodePool")} == set(TIERS)
    rule = alpha.one("ValidatingPolicy", "refuse-without-tier")["spec"]["validations"][0]["expression"]
    assert all(f'"{name}"' in rule for name in TIERS)
