"""The six CloudFormation templates, read as text: nothing here needs an account, and nothing here proves that AWS accepts them."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from templates import FOLDER, STACKS, STAGES, parameters, resources, template, walk

RETAINED = {
    "vpc": {"AWS::Logs::LogGroup"},
    "data": {
        "AWS::KMS::Key", "AWS::KMS::Alias", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::RDS::DBSubnetGroup",
        "AWS::EC2::SecurityGroup", "AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance",
        "AWS::ECR::Repository",
    },
    "auth": {"AWS::Cognito::UserPool"},
    "dns": {"AWS::Route53::HostedZone"},
}
UNTAGGED = {  # Types that take no tags, or whose tags AWS does not let a template set.
    "AWS::EC2::VPCCidrBlock", "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress", "AWS::KMS::Alias",
    "AWS::S3::BucketPolicy", "AWS::EKS::PodIdentityAssociation", "AWS::Cognito::UserPoolIdentityProvider",
    "AWS::Cognito::UserPoolGroup", "AWS::Cognito::UserPoolDomain", "AWS::Cognito::UserPoolResourceServer",
    "AWS::Cognito::UserPoolClient", "AWS::Cognito::IdentityPoolRoleAttachment", "AWS::Lambda::Permission",
    "AWS::Route53::RecordSet", "AWS::ElasticLoadBalancingV2::Listener", "Custom::Delegation",
}
TAG_PROPERTIES = ("Tags", "UserPoolTags", "IdentityPoolTags", "HostedZoneTags")


def test_cfn_lint_has_nothing_to_say():
    done = subprocess.run([Path(sys.executable).with_name("cfn-lint")], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr
    rules = (FOLDER / ".cfnlintrc").read_text()
    assert "ignore" not in rules, "a suppressed rule needs its reason in .cfnlintrc and its row here"


def test_there_are_six_stacks_and_one_role_for_the_network_account():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*STACKS, "delegation-role"}


@pytest.mark.parametrize("name", [*STACKS, "delegation-role"])
def test_a_template_fits_into_one_call(name):
    assert (FOLDER / f"{name}.yaml").stat().st_size < 51_200, "over it, CloudFormation wants the template in S3"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", STACKS)
def test_a_stage_gives_every_parameter_that_has_no_default(name, stage):
    declared, given = template(name)["Parameters"], parameters(stage)
    missing = [key for key, value in declared.items() if "Default" not in value and key not in given]
    assert not missing
    for key in declared.keys() & given.keys():
        value, rule = given[key], declared[key]
        if "AllowedValues" in rule:
            assert value in map(str, rule["AllowedValues"]), f"{key}={value}"
        if "AllowedPattern" in rule:
            assert re.search(rule["AllowedPattern"], value), f"{key}={value} does not match {rule['AllowedPattern']}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_no_parameter_that_nobody_declares(stage):
    declared = set().union(*(template(name)["Parameters"] for name in STACKS))
    assert parameters(stage).keys() - declared == {"Account", "Region"}
    assert all(isinstance(value, str) for value in parameters(stage).values())


def test_stages_live_in_accounts_of_their_own():
    assert len({parameters(stage)["Account"] for stage in STAGES}) == len(STAGES)
    for stage in STAGES:
        assert parameters(stage)["Stage"] == stage
        assert parameters(stage)["StageHost"] == f"{stage}.metaflow.simulation.amazon.dev"


@pytest.mark.parametrize("name", STACKS)
def test_what_can_carry_a_tag_names_its_stage(name):
    for key, resource in template(name)["Resources"].items():
        if resource["Type"] in UNTAGGED:
            continue
        tags = next((resource["Properties"][each] for each in TAG_PROPERTIES if each in resource.get("Properties", {})), None)
        if resource["Type"] == "AWS::EKS::PodIdentityAssociation":
            continue
        assert tags is not None, f"{name}.{key} ({resource['Type']}) has no tags"
        stage = tags.get("metaflow:stage") if isinstance(tags, dict) else next((t["Value"] for t in tags if t["Key"] == "metaflow:stage"), None)
        assert stage == {"Ref": "Stage"}, f"{name}.{key} does not name its stage"


@pytest.mark.parametrize("name", STACKS)
def test_what_holds_data_is_retained_on_deletion_and_on_replacement(name):
    for key, resource in template(name)["Resources"].items():
        if resource["Type"] in RETAINED.get(name, set()):
            assert (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) == ("Retain", "Retain"), f"{name}.{key}"
        else:
            assert resource.get("DeletionPolicy", "Delete") == "Delete", f"{name}.{key} is retained, but no row says so"


def test_nothing_in_the_data_stack_goes_with_the_stack():
    assert {value["Type"] for value in template("data")["Resources"].values()} == RETAINED["data"]


@pytest.mark.parametrize("name", ["data", "auth", "dns"])
def test_a_stack_policy_forbids_to_replace_or_delete_what_is_retained(name):
    policy = json.loads((FOLDER / "policies" / f"{name}.json").read_text())
    denied = [s for s in policy["Statement"] if s["Effect"] == "Deny"]
    assert {action for s in denied for action in s["Action"]} == {"Update:Replace", "Update:Delete"}
    kinds = {kind for s in denied for kind in s["Condition"]["StringEquals"]["ResourceType"]}
    stateful = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::Cognito::UserPool", "AWS::Route53::HostedZone"}
    assert stateful & RETAINED[name] <= kinds


def test_the_database_is_encrypted_backed_up_and_knows_no_typed_password():
    database = resources("data", "AWS::RDS::DBCluster")["Database"]["Properties"]
    assert database["StorageEncrypted"] is True and database["DeletionProtection"] is True
    assert database["ManageMasterUserPassword"] is True and "MasterUserPassword" not in database
    assert template("data")["Parameters"]["BackupDays"]["Default"] == 35
    assert resources("data", "AWS::RDS::DBClusterParameterGroup")["DatabaseParameters"]["Properties"]["Parameters"]["rds.force_ssl"] == "1"
    for instance in resources("data", "AWS::RDS::DBInstance").values():
        assert instance["Properties"]["PubliclyAccessible"] is False


def test_the_bucket_keeps_versions_is_encrypted_and_closed_to_the_public():
    bucket = resources("data", "AWS::S3::Bucket")["ArtifactBucket"]["Properties"]
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert not any("ExpirationInDays" in rule for rule in rules), "no artifact may expire"
    assert any("NoncurrentVersionExpiration" in rule for rule in rules)
    denial = resources("data", "AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert (denial["Effect"], denial["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


# Who may act on every resource, and why there is no other way. Anything else must name what it acts on.
ON_EVERYTHING = {
    ("data", "DataKey"): "a key policy's * is the key itself",
    ("eks", "SecretsKey"): "a key policy's * is the key itself",
    ("data", "ArtifactBucketPolicy"): "a denial",
    ("ingress", "ExternalDnsRole"): "Route 53 lists zones as a whole",
}


@pytest.mark.parametrize("name", [*STACKS, "delegation-role"])
def test_permissions_name_their_actions_and_resources(name):
    for key, resource in template(name)["Resources"].items():
        for statement in (each for each in walk(resource) if each.get("Effect") in ("Allow", "Deny")):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if (name, key) not in ON_EVERYTHING:
                assert statement.get("Resource") != "*", f"{name}.{key}: {statement}"
                assert not any("*" in action for action in actions), f"{name}.{key}: {actions}"
            elif key == "ExternalDnsRole" and statement.get("Resource") == "*":
                assert all(action.split(":")[1].startswith("List") for action in actions)


@pytest.mark.parametrize("name", STACKS)
def test_only_the_network_load_balancer_lets_the_world_in(name):
    for key, resource in template(name)["Resources"].items():
        if resource["Type"] not in ("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"):
            continue
        rules = resource["Properties"].get("SecurityGroupIngress", [resource["Properties"]] if "Ingress" in resource["Type"] else [])
        for rule in rules:
            assert rule.get("CidrIp") != "0.0.0.0/0", f"{name}.{key}"
            if rule.get("CidrIp") == {"Ref": "ClientCidr"}:
                assert (name, rule["FromPort"]) in {("ingress", 443), ("ingress", 80)}


def test_every_zone_has_its_four_subnets_and_its_routes():
    subnets = resources("vpc", "AWS::EC2::Subnet")
    assert len(subnets) == 12
    for zone in "ABC":
        for kind in ("Public", "Database", "Node", "Pod"):
            assert f"{kind}Subnet{zone}" in subnets and f"{kind}Subnet{zone}Routes" in template("vpc")["Resources"]
    database_routes = [r for r in resources("vpc", "AWS::EC2::Route").values() if r["Properties"]["RouteTableId"] == {"Ref": "DatabaseRoutes"}]
    assert not database_routes, "the database's subnets reach nothing beyond the network"


def test_the_network_has_the_endpoints_that_nodes_and_pods_need():
    services = {each["Properties"]["ServiceName"]["Fn::Sub"].rsplit("${AWS::Region}.")[-1] for each in resources("vpc", "AWS::EC2::VPCEndpoint").values()}
    assert {"s3", "ecr.api", "ecr.dkr", "sts", "logs", "secretsmanager", "eks", "eks-auth"} <= services


def test_the_cluster_is_auto_mode_with_its_three_switches_together():
    cluster = resources("eks", "AWS::EKS::Cluster")["Cluster"]["Properties"]
    assert cluster["ComputeConfig"]["Enabled"] is True
    assert cluster["KubernetesNetworkConfig"]["ElasticLoadBalancing"]["Enabled"] is True
    assert cluster["StorageConfig"]["BlockStorage"]["Enabled"] is True
    assert cluster["BootstrapSelfManagedAddons"] is False
    assert cluster["AccessConfig"] == {"AuthenticationMode": "API", "BootstrapClusterCreatorAdminPermissions": False}


def test_the_cluster_stacks_hold_no_data():
    kinds = {r["Type"] for name in ("eks", "ingress") for r in template(name)["Resources"].values()}
    assert not kinds & {"AWS::S3::Bucket", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::Cognito::UserPool"}


# ---- auth ---------------------------------------------------------------------------------------------------------------


def client(name):
    return resources("auth", "AWS::Cognito::UserPoolClient")[name]["Properties"]


def test_the_browser_client_is_confidential_and_does_not_rotate():
    browser = client("BrowserClient")
    assert browser["GenerateSecret"] is True and browser["AllowedOAuthFlows"] == ["code"]
    assert browser["RefreshTokenRotation"] == {"Feature": "DISABLED"} and "ALLOW_REFRESH_TOKEN_AUTH" in browser["ExplicitAuthFlows"]
    assert browser["CallbackURLs"] == [{"Fn::Sub": "https://${StageHost}/oauth2/callback"}]
    assert browser["LogoutURLs"] == [{"Fn::Sub": "https://${StageHost}/oauth2/signed_out"}]


def test_the_command_line_client_is_public_and_rotates_with_a_minute_of_grace():
    command_line = client("CommandLineClient")
    assert command_line["GenerateSecret"] is False and command_line["AllowedOAuthFlows"] == ["code"]
    assert command_line["RefreshTokenRotation"] == {"Feature": "ENABLED", "RetryGracePeriodSeconds": 60}
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in command_line["ExplicitAuthFlows"], "Cognito refuses it beside rotation"
    assert command_line["CallbackURLs"] == [
        "http://localhost:8400/callback", "http://localhost:8401/callback", "http://localhost:8402/callback",
        {"Fn::Sub": "https://${StageHost}/cli/callback"},
    ]


def test_the_machine_client_speaks_for_no_person():
    machine = client("MachineClient")
    assert machine["AllowedOAuthFlows"] == ["client_credentials"] and machine["GenerateSecret"] is True
    assert machine["AllowedOAuthScopes"] == ["metaflow/write"]


def test_every_client_revokes_and_tells_nobody_who_exists():
    for name in ("BrowserClient", "CommandLineClient", "MachineClient"):
        assert client(name)["EnableTokenRevocation"] is True and client(name)["PreventUserExistenceErrors"] == "ENABLED"
        assert client(name)["AccessTokenValidity"] <= 60


def test_nobody_signs_up_and_guests_get_no_credentials():
    pool = resources("auth", "AWS::Cognito::UserPool")["UserPool"]["Properties"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    identities = resources("auth", "AWS::Cognito::IdentityPool")["IdentityPool"]["Properties"]
    assert identities["AllowUnauthenticatedIdentities"] is False and identities["AllowClassicFlow"] is False
    mapping = resources("auth", "AWS::Cognito::IdentityPoolRoleAttachment")["IdentityPoolRoles"]["Properties"]
    assert "Roles" not in mapping, "a default role would serve people outside the group"
    assert mapping["RoleMappings"]["people"]["AmbiguousRoleResolution"] == "Deny"


def inline(name, key):
    """The Python in a template's Lambda function, as a module."""
    module = types.ModuleType(key)
    exec(compile(template(name)["Resources"][key]["Properties"]["Code"]["ZipFile"], f"{name}.{key}", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("asserted, pool, groups", [
    ("[science, other]", [], ["science"]),
    ('["science","operators"]', [], ["science", "operators"]),
    ("science", [], ["science"]),
    ("science,operators", ["science"], ["science", "operators"]),
    ("other", ["us-west-2_X_AmazonFederate"], []),
    ("", ["operators"], ["operators"]),
    (None, None, []),
    ("sciences, Science, 'science'", [], ["science"]),
    ("[science, science]", ["science"], ["science"]),
])
def test_the_provider_s_groups_pass_as_far_as_the_stage_knows_them(monkeypatch, asserted, pool, groups):
    monkeypatch.setenv("KNOWN_GROUPS", "science,operators")
    attributes = {"sub": "1"} | ({"custom:provider_groups": asserted} if asserted is not None else {})
    event = {"request": {"userAttributes": attributes, "groupConfiguration": {"groupsToOverride": pool}}, "response": {}}
    answer = inline("auth", "GroupMapper").handler(event, None)
    assert answer["response"]["claimsOverrideDetails"]["groupOverrideDetails"]["groupsToOverride"] == groups


# ---- dns ----------------------------------------------------------------------------------------------------------------


class Cloud:
    """What the delegator needs of boto3 and of CloudFormation's answer module, recording each call."""

    def __init__(self, refuses=False):
        self.changes, self.answers, self.refuses = [], [], refuses

    def client(self, service, **credentials):
        cloud = self

        class Client:
            def assume_role(self, RoleArn, RoleSessionName):
                return {"Credentials": {"AccessKeyId": RoleArn, "SecretAccessKey": "s", "SessionToken": "t"}}

            def change_resource_record_sets(self, HostedZoneId, ChangeBatch):
                if cloud.refuses:
                    raise RuntimeError("AccessDenied")
                cloud.changes.append((credentials["aws_access_key_id"], HostedZoneId, ChangeBatch["Changes"][0]))

        return Client()


@pytest.mark.parametrize("request_type, keep, action, status", [
    ("Create", "true", "UPSERT", "SUCCESS"), ("Update", "true", "UPSERT", "SUCCESS"), ("Delete", "true", None, "SUCCESS"), ("Delete", "false", "DELETE", "SUCCESS"),
    ("Create refused", "true", None, "FAILED"),
])
def test_the_delegator_writes_one_record_in_the_parent_zone_and_answers_always(monkeypatch, request_type, keep, action, status):
    cloud = Cloud(refuses=request_type.endswith("refused"))
    answer = types.ModuleType("cfnresponse")
    answer.SUCCESS, answer.FAILED = "SUCCESS", "FAILED"
    answer.send = lambda event, context, status, data, physical, reason=None: cloud.answers.append((status, physical, reason))
    boto3 = types.ModuleType("boto3")
    boto3.client = cloud.client
    monkeypatch.setitem(sys.modules, "cfnresponse", answer)
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    properties = {"RoleArn": "role", "ParentZoneId": "Z1", "Name": "alpha.example", "NameServers": ["a", "b"], "KeepOnDelete": keep}
    inline("dns", "Delegator").handler({"RequestType": request_type.split()[0], "ResourceProperties": properties}, None)
    assert [(answered, physical) for answered, physical, _ in cloud.answers] == [(status, "alpha.example")]
    if action is None:
        assert cloud.changes == []
    else:
        (role, zone, change), = cloud.changes
        assert (role, zone, change["Action"]) == ("role", "Z1", action)
        assert change["ResourceRecordSet"] == {"Name": "alpha.example", "Type": "NS", "TTL": 300, "ResourceRecords": [{"Value": "a"}, {"Value": "b"}]}


def test_the_delegation_role_may_write_one_name_and_one_type():
    policy = resources("delegation-role", "AWS::IAM::Role")["DelegationRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert policy["Action"] == "route53:ChangeResourceRecordSets"
    condition = policy["Condition"]["ForAllValues:StringEquals"]
    assert condition["route53:ChangeResourceRecordSetsNormalizedRecordNames"] == [{"Ref": "StageHost"}]
    assert condition["route53:ChangeResourceRecordSetsRecordTypes"] == ["NS"]


def test_the_certificate_waits_for_the_delegation_and_covers_host_and_wildcard():
    certificate = resources("dns", "AWS::CertificateManager::Certificate")["Certificate"]["Properties"]
    assert certificate["DomainName"] == {"Ref": "StageHost"} and certificate["SubjectAlternativeNames"] == [{"Fn::Sub": "*.${StageHost}"}]
    assert certificate["DomainValidationOptions"][0]["HostedZoneId"] == {"Ref": "Zone"}
    assert {"Ref": "Delegation"} in list(walk(certificate)), "nothing makes it wait"
    assert certificate["CertificateExport"] == {"Fn::If": ["PassThrough", "ENABLED", "DISABLED"]}


# ---- ingress ------------------------------------------------------------------------------------------------------------


def test_the_cluster_makes_no_second_load_balancer():
    assert len(resources("ingress", "AWS::ElasticLoadBalancingV2::LoadBalancer")) == 1
    for name in ("TlsTargets", "RedirectTargets"):
        group = resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup")[name]["Properties"]
        assert group["TargetType"] == "ip"
        assert any(tag["Key"] == "eks:eks-cluster-name" for tag in group["Tags"]), "Auto Mode registers targets only where this tag is"


def test_one_switch_decides_who_ends_tls():
    listeners = resources("ingress", "AWS::ElasticLoadBalancingV2::Listener")
    assert listeners["PassThroughListener"]["Condition"] == "PassThrough" and listeners["PassThroughListener"]["Properties"]["Protocol"] == "TCP"
    terminating = listeners["TerminatingListener"]
    assert terminating["Condition"] == "TerminatesTls"
    assert terminating["Properties"]["Protocol"] == "TLS" and terminating["Properties"]["AlpnPolicy"] == ["HTTP2Preferred"]
    conditions = template("ingress")["Conditions"]
    assert conditions["PassThrough"] == {"Fn::Equals": [{"Ref": "TlsMode"}, "pass-through"]}
    assert conditions["TerminatesTls"] == {"Fn::Equals": [{"Ref": "TlsMode"}, "at-load-balancer"]}
    for name in ("dns", "ingress"):
        assert template(name)["Parameters"]["TlsMode"]["AllowedValues"] == ["pass-through", "at-load-balancer"]


def test_an_unhealthy_target_keeps_its_connections():
    """The gateway fails its readiness first and serves on. By default the load balancer would cut its connections then."""
    for group in resources("ingress", "AWS::ElasticLoadBalancingV2::TargetGroup").values():
        attributes = {each["Key"]: each["Value"] for each in group["Properties"]["TargetGroupAttributes"]}
        assert attributes["target_health_state.unhealthy.connection_termination.enabled"] == "false"
        assert int(attributes["target_health_state.unhealthy.draining_interval_seconds"]) >= 300
        assert attributes["deregistration_delay.connection_termination.enabled"] == "false"
        assert attributes["proxy_protocol_v2.enabled"] == "true"
        assert attributes["preserve_client_ip.enabled"] == "false"


def test_every_way_into_the_cluster_has_its_way_out_of_the_load_balancer():
    def ports(kind):
        return {each["Properties"]["FromPort"] for each in resources("ingress", kind).values()}
    assert ports("AWS::EC2::SecurityGroupIngress") == ports("AWS::EC2::SecurityGroupEgress") == {8443, 8080, 8086}
