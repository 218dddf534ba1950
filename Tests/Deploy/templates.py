"""The CloudFormation templates as Python values: `!Ref X` becomes {"Ref": "X"}, as CloudFormation itself reads it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "cloudformation"
STAGES = ("alpha", "sandbox", "prod")
# The order of deployment; each may import only from those before it.
STACKS = ("vpc", "data", "eks", "auth", "dns", "ingress")


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, and dates as the text that they are."""


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short_form)
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def template(name):
    return yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader)


def parameters(stage):
    return json.loads((FOLDER / "parameters" / f"{stage}.json").read_text())


def resources(name, kind):
    return {key: value for key, value in template(name)["Resources"].items() if value["Type"] == kind}


def walk(value):
    """Every mapping inside a value, itself included."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def named(value, stage="STAGE"):
    """The name in an Export or an ImportValue, which is a text or a Sub with the stage in it."""
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    return text.replace("${Stage}", stage)


def exports(name):
    return {named(output["Export"]["Name"]) for output in template(name)["Outputs"].values() if "Export" in output}


def imports(name):
    return {named(each["Fn::ImportValue"]) for each in walk(template(name)) if "Fn::ImportValue" in each}


def with_wheel(text, folder):
    """A configuration that names the wheel where the image has it, with a freshly built one in this folder instead."""
    subprocess.run([sys.executable, ROOT / "deploy/metaflow-extension/build_wheel.py", "--out", folder], check=True, capture_output=True)
    return text.replace("/usr/share/metaflow-gateway/", f"{folder}/")


def first_revocation_file():
    """What stacks.sh puts into a cluster that has none."""
    return re.search(r"--from-literal=revocation\.json=([^']+)'", (ROOT / "deploy" / "stacks.sh").read_text()).group(1)
