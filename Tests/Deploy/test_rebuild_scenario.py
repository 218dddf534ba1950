"""Retention, order and identity, acted out against moto.

What moto simulates is proved here: exports and imports between stacks, a bucket and its versions that outlive their stack, the
identity pool's exchange, and IAM's decision on S3 calls. Its CloudFormation knows no EKS, no Aurora, no user pool and no ACM and
skips them in silence, so the stacks are reduced to what it knows, from the templates' own text; test_templates.py has the rest as text.
"""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from templates import STACKS, exports, imports, named, resources, template, walk

REGION = "us-west-2"
COMPUTE = ("eks", "ingress")


def skeleton(name, stage):
    """A stack's imports and exports, and one parameter to hold them: what CloudFormation's order depends on."""
    used = sorted(each.replace("STAGE", stage) for each in imports(name))
    return json.dumps({
        "Resources": {"Holder": {"Type": "AWS::SSM::Parameter", "Properties": {
            "Type": "String", "Name": f"/{stage}/{name}", "Value": {"Fn::Join": [",", ["x", *({"Fn::ImportValue": each} for each in used)]]}}}},
        "Outputs": {f"O{index}": {"Value": each, "Export": {"Name": each.replace("STAGE", stage)}} for index, each in enumerate(sorted(exports(name)))},
    })


def create(cloud, name, stage="alpha"):
    cloud.create_stack(StackName=f"metaflow-{stage}-{name}", TemplateBody=skeleton(name, stage))


def alive(cloud, stage="alpha"):
    return {each["StackName"].removeprefix(f"metaflow-{stage}-") for each in cloud.describe_stacks()["Stacks"]}


@pytest.fixture
def cloud():
    with mock_aws():
        yield boto3.client("cloudformation", REGION)


def test_the_stacks_come_up_in_order(cloud):
    for name in STACKS:
        create(cloud, name)
    assert alive(cloud) == set(STACKS)


@pytest.mark.parametrize("name", [name for name in STACKS if imports(name)])
def test_a_stack_that_comes_too_early_is_refused(cloud, name):
    with pytest.raises(ClientError, match="No export named"):
        create(cloud, name)


def test_two_stages_do_not_meet(cloud):
    for stage in ("alpha", "prod"):
        for name in STACKS:
            create(cloud, name, stage)
    assert alive(cloud, "alpha") >= set(STACKS) and alive(cloud, "prod") >= set(STACKS)


def test_compute_is_rebuilt_while_everything_else_stays(cloud):
    for name in STACKS:
        create(cloud, name)
    for name in reversed(COMPUTE):
        cloud.delete_stack(StackName=f"metaflow-alpha-{name}")
    assert alive(cloud) == set(STACKS) - set(COMPUTE)
    for name in COMPUTE:
        create(cloud, name)
    assert alive(cloud) == set(STACKS)


# ---- The bucket outlives its stack ---------------------------------------------------------------------------------------


def bucket_stack(retain=True):
    """The data stack's bucket as the template has it, less the encryption, whose key another resource makes."""
    bucket = json.loads(json.dumps(resources("data", "AWS::S3::Bucket")["ArtifactBucket"]))
    del bucket["Properties"]["BucketEncryption"], bucket["Properties"]["LifecycleConfiguration"], bucket["Properties"]["OwnershipControls"]
    if not retain:
        bucket.pop("DeletionPolicy"), bucket.pop("UpdateReplacePolicy")
    return json.dumps({"Parameters": {"Stage": {"Type": "String"}}, "Resources": {"ArtifactBucket": bucket}})


def put_data_stack(cloud, retain=True):
    cloud.create_stack(StackName="metaflow-alpha-data", TemplateBody=bucket_stack(retain), Parameters=[{"ParameterKey": "Stage", "ParameterValue": "alpha"}])
    store = boto3.client("s3", REGION)
    bucket, = store.list_buckets()["Buckets"]
    # moto's CloudFormation drops this property; its S3 keeps it.
    store.put_bucket_versioning(Bucket=bucket["Name"], VersioningConfiguration=resources("data", "AWS::S3::Bucket")["ArtifactBucket"]["Properties"]["VersioningConfiguration"])
    return bucket["Name"]


def test_artifacts_and_their_versions_outlive_the_deletion_of_the_data_stack(cloud):
    store = boto3.client("s3", REGION)
    bucket = put_data_stack(cloud)
    assert bucket.startswith("metaflow-alpha-artifacts-") and bucket.endswith(REGION)
    for body in (b"first", b"second"):
        store.put_object(Bucket=bucket, Key="metaflow/Flow/data/1", Body=body)
    cloud.delete_stack(StackName="metaflow-alpha-data")
    assert alive(cloud) == set()
    assert store.get_object(Bucket=bucket, Key="metaflow/Flow/data/1")["Body"].read() == b"second"
    assert len(store.list_object_versions(Bucket=bucket)["Versions"]) == 2


def test_without_the_retention_the_same_deletion_would_take_the_bucket(cloud):
    put_data_stack(cloud, retain=False)
    cloud.delete_stack(StackName="metaflow-alpha-data")
    assert boto3.client("s3", REGION).list_buckets()["Buckets"] == []


def test_a_deleted_artifact_can_be_brought_back(cloud):
    store = boto3.client("s3", REGION)
    bucket = put_data_stack(cloud)
    store.put_object(Bucket=bucket, Key="metaflow/a", Body=b"work of a week")
    marker = store.delete_object(Bucket=bucket, Key="metaflow/a")["VersionId"]
    store.delete_object(Bucket=bucket, Key="metaflow/a", VersionId=marker)
    assert store.get_object(Bucket=bucket, Key="metaflow/a")["Body"].read() == b"work of a week"


def test_artifacts_survive_a_rebuild_of_compute(cloud):
    """The whole scenario: data and cluster up, an artifact written, the cluster deleted and made anew, the artifact read."""
    store = boto3.client("s3", REGION)
    create(cloud, "vpc")
    bucket = put_data_stack(cloud)
    store.put_object(Bucket=bucket, Key="metaflow/Flow/data/1", Body=b"artifact")
    exported = json.loads(skeleton("data", "alpha"))
    cloud.create_stack(StackName="metaflow-alpha-data-exports", TemplateBody=json.dumps(exported))
    for name in ("eks", "auth", "dns", "ingress"):
        create(cloud, name)
    for name in reversed(COMPUTE):
        cloud.delete_stack(StackName=f"metaflow-alpha-{name}")
    assert store.get_object(Bucket=bucket, Key="metaflow/Flow/data/1")["Body"].read() == b"artifact"
    for name in COMPUTE:
        create(cloud, name)
    assert store.get_object(Bucket=bucket, Key="metaflow/Flow/data/1")["Body"].read() == b"artifact"


# ---- The identity pool, and what its role may do ------------------------------------------------------------------------------


def resolved(value, bucket):
    """A policy with its imports and pseudo parameters filled in, as CloudFormation would."""
    text = json.dumps(value)
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            return bucket if named(value["Fn::ImportValue"], "alpha").endswith("artifact-bucket") else "arn:aws:kms:us-west-2:111111111111:key/1"
        if "Fn::Sub" in value:
            body, extra = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
            known = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": "111111111111", "Stage": "alpha"}
            for name, inner in {**known, **{key: resolved(each, bucket) for key, each in extra.items()}}.items():
                body = body.replace("${" + name + "}", inner)
            return body
        return {key: resolved(each, bucket) for key, each in value.items()}
    if isinstance(value, list):
        return [resolved(each, bucket) for each in value]
    return json.loads(text)


def role_policy(stack, role):
    return [policy["PolicyDocument"] for policy in resources(stack, "AWS::IAM::Role")[role]["Properties"]["Policies"]]


ROLES = {"scientist": ("auth", "ScientistRole"), "step": ("eks", "TaskRole"), "ui": ("eks", "UserInterfaceRole"), "metadata": ("eks", "MetadataRole")}
CALLS = {
    "read an artifact": lambda store, bucket: store.get_object(Bucket=bucket, Key="metaflow/a"),
    "write an artifact": lambda store, bucket: store.put_object(Bucket=bucket, Key="metaflow/b", Body=b"x"),
    "delete an artifact": lambda store, bucket: store.delete_object(Bucket=bucket, Key="metaflow/a"),
    "write beside the artifacts": lambda store, bucket: store.put_object(Bucket=bucket, Key="platform/x", Body=b"x"),
    "read the saved flows": lambda store, bucket: store.get_object(Bucket=bucket, Key="platform/deployed-flows.json"),
    "read another stage's artifact": lambda store, bucket: store.get_object(Bucket="metaflow-prod-artifacts", Key="metaflow/a"),
    "change the bucket": lambda store, bucket: store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
    "list every bucket": lambda store, bucket: store.list_buckets(),
}
MAY = {
    "scientist": {"read an artifact", "write an artifact"},
    "step": {"read an artifact", "write an artifact"},
    "ui": {"read an artifact"},
    "metadata": set(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", ROLES)
def test_a_role_does_what_its_policy_says_and_nothing_else(who, call):
    with mock_aws():
        store = boto3.client("s3", REGION)
        bucket = "metaflow-alpha-artifacts-111111111111-us-west-2"
        for name in (bucket, "metaflow-prod-artifacts"):
            store.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
            store.put_object(Bucket=name, Key="metaflow/a", Body=b"a")
        store.put_object(Bucket=bucket, Key="platform/deployed-flows.json", Body=b"{}")
        identity = boto3.client("iam", REGION)
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
        role = identity.create_role(RoleName=who, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        for index, document in enumerate(role_policy(*ROLES[who])):
            identity.put_role_policy(RoleName=who, PolicyName=str(index), PolicyDocument=json.dumps(resolved(document, bucket)))
        session = boto3.client("sts", REGION).assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]

        @set_initial_no_auth_action_count(0)
        def attempt():
            acting = boto3.client("s3", REGION, aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
                                  aws_session_token=session["SessionToken"])
            try:
                CALLS[call](acting, bucket)
                return True
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDenied", error
                return False

        assert attempt() == (call in MAY[who])


def test_a_signed_in_scientist_gets_credentials_that_end():
    with mock_aws():
        properties = resources("auth", "AWS::Cognito::IdentityPool")["IdentityPool"]["Properties"]
        pool = boto3.client("cognito-identity", REGION)
        provider = "cognito-idp.us-west-2.amazonaws.com/us-west-2_Example1"
        made = pool.create_identity_pool(
            IdentityPoolName="metaflow-alpha", AllowUnauthenticatedIdentities=properties["AllowUnauthenticatedIdentities"],
            AllowClassicFlow=properties["AllowClassicFlow"],
            CognitoIdentityProviders=[{"ProviderName": provider, "ClientId": "2example", "ServerSideTokenCheck": True}])
        identity = pool.get_id(IdentityPoolId=made["IdentityPoolId"], Logins={provider: "an ID token"})["IdentityId"]
        credentials = pool.get_credentials_for_identity(IdentityId=identity, Logins={provider: "an ID token"})["Credentials"]
        assert credentials["SessionToken"]
        assert made["AllowUnauthenticatedIdentities"] is False
    # moto lets any credentials end; whether and when AWS does is the role's affair.
    assert resources("auth", "AWS::IAM::Role")["ScientistRole"]["Properties"]["MaxSessionDuration"] == 3600


def test_the_scientist_s_role_is_bound_to_this_pool_and_to_people_who_signed_in():
    statement, = resources("auth", "AWS::IAM::Role")["ScientistRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"]["StringEquals"] == {"cognito-identity.amazonaws.com:aud": {"Ref": "IdentityPool"}}
    assert statement["Condition"]["ForAnyValue:StringLike"] == {"cognito-identity.amazonaws.com:amr": "authenticated"}


def test_listing_is_bound_to_the_artifacts_prefix():
    """moto decides without conditions, so this one is read as text."""
    for stack, role in (ROLES["scientist"], ROLES["step"], ROLES["ui"]):
        listing = [each for document in role_policy(stack, role) for each in walk(document) if each.get("Action") == "s3:ListBucket"]
        assert [each["Condition"] for each in listing] == [{"StringLike": {"s3:prefix": ["metaflow", "metaflow/*"]}}]


# ---- What is not proved here ------------------------------------------------------------------------------------------------


def test_what_moto_does_not_know_is_listed_in_the_readme():
    import moto.cloudformation.models  # noqa: F401 (loads every model)
    from moto.cloudformation.parsing import get_model_map

    from templates import ROOT
    readme = (ROOT / "deploy" / "README.md").read_text()
    unknown = {r["Type"] for name in STACKS for r in template(name)["Resources"].values()} - set(get_model_map()) - {"Custom::Delegation"}
    assert {"AWS::EKS::Cluster", "AWS::RDS::DBCluster", "AWS::Cognito::UserPool", "AWS::CertificateManager::Certificate"} <= unknown
    missing = sorted(kind for kind in unknown if kind not in readme)
    assert not missing, f"deploy/README.md does not list {missing} as checked as text only"
