#!/usr/bin/env python3
"""Stands in for aws, kubectl, helm and metaflow-gateway, by the name it is called under; writes down each call.

Its CloudFormation keeps what matters to deploy/stacks.sh: exports and imports, from the templates' own text, and that a stack in
use cannot be deleted. STAND_IN holds its state; REFUSE names a stack whose change fails; WITHOUT names a service or program that gives nothing.
"""

import json
import os
import sys
from pathlib import Path

state_folder = Path(os.environ["STAND_IN"])
name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
state_file = state_folder / "state.json"
before = state_file.read_text() if state_file.exists() else '{"stacks": {}, "sets": {}, "secrets": [], "saved": {}}'
state = json.loads(before)
# Exports, imports, parameters and resources of each template: the test reads the templates once.
graph = json.loads(Path(os.environ["GRAPH"]).read_text())


def note(**more):
    with open(state_folder / "calls.jsonl", "a") as file:
        file.write(json.dumps({"program": name, "arguments": arguments, **more}) + "\n")


def option(flag):
    return arguments[arguments.index(flag) + 1] if flag in arguments else None


def answer(value=None):
    after = json.dumps(state)
    if after != before:  # Atomically: the programs of one pipe run at once.
        new = state_folder / f"state.{os.getpid()}"
        new.write_text(after)
        new.replace(state_file)
    if value is not None:
        print(value if isinstance(value, str) else json.dumps(value))
    sys.exit(0)


def refuse(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(255)


def cloudformation(verb):
    stack = option("--stack-name")
    kind = stack.rsplit("-", 1)[-1]
    stage = os.environ["STAGE"]
    exported = {each.replace("STAGE", stage) for other in state["stacks"] for each in graph[other.rsplit("-", 1)[-1]]["exports"]}
    if verb == "describe-stacks":
        if stack not in state["stacks"]:
            refuse(f"Stack with id {stack} does not exist")
        if option("--query") == "Stacks[0].StackStatus":
            answer(state["stacks"][stack])
        values = json.loads(os.environ.get("OUTPUTS", "{}"))
        answer({"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": values.get(key, f"{stack}-{key}")} for key in graph[kind]["outputs"]]}]})
    if verb == "create-change-set":
        body = Path(option("--template-body").removeprefix("file://")).read_text()
        declared = graph[kind]["parameters"]
        given = {each["ParameterKey"] for each in json.loads(option("--parameters"))}
        missing = [key for key in declared if key not in given and not declared[key]]
        unknown = given - set(declared)
        if missing or unknown:
            refuse(f"ValidationError: parameters {missing} must have values; {unknown} do not exist in the template")
        absent = sorted({each.replace("STAGE", stage) for each in graph[kind]["imports"]} - exported)
        if kind == os.environ.get("REFUSE"):
            change = {"Status": "FAILED", "StatusReason": "Resource handler returned message: refused"}
        elif absent:
            change = {"Status": "FAILED", "StatusReason": f"No export named {absent[0]} found."}
        elif state["stacks"].get(stack, "").endswith("_COMPLETE"):
            change = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        else:
            change = {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": {"Action": "Add", "ResourceType": each, "LogicalResourceId": key}} for key, each in graph[kind]["resources"].items()]}
        state["sets"][stack] = change
        if stack not in state["stacks"]:
            state["stacks"][stack] = "REVIEW_IN_PROGRESS"
        answer({"Id": "set", "size": len(body)})
    if verb == "describe-change-set":
        answer(state["sets"][stack])
    if verb == "delete-change-set":
        state["sets"].pop(stack, None)
        answer()
    if verb == "execute-change-set":
        state["stacks"][stack] = "CREATE_COMPLETE"
        answer()
    if verb == "describe-stack-events":
        answer({"StackEvents": [{"EventId": f"{stack}-1", "LogicalResourceId": "Network", "ResourceStatus": "CREATE_COMPLETE", "Timestamp": "2999-01-01T00:00:00"}]})
    if verb == "delete-stack":
        used = {each.replace("STAGE", stage) for other in state["stacks"] if other != stack for each in graph[other.rsplit("-", 1)[-1]]["imports"]}
        if used & {each.replace("STAGE", stage) for each in graph[kind]["exports"]}:
            refuse(f"{stack}: its exports are in use")
        state["stacks"].pop(stack, None)
        answer()
    answer()


if name == "aws":
    note()
    service, verb = arguments[0], arguments[1]
    if service == os.environ.get("WITHOUT"):
        refuse(f"{service}: nothing is there")
    if service == "sts":
        answer(os.environ["ACCOUNT"])
    if service == "cloudformation":
        cloudformation(verb)
    if service == "cognito-idp":
        answer("the-client-secret")
    if service == "s3":
        source, target = [each for each in arguments[2:] if each.startswith(("/", "s3://"))]
        if target.startswith("s3://"):
            state["saved"][target.rsplit("/", 1)[-1]] = Path(source).read_text()
        else:
            Path(target).write_text(state["saved"][source.rsplit("/", 1)[-1]])
        answer()
    if service == "s3api":
        prefix = option("--prefix")
        answer(prefix if prefix.rsplit("/", 1)[-1] in state["saved"] else "None")
    answer()

read = "" if sys.stdin.isatty() or not ({"-", "/dev/stdin"} & {part.split("=")[-1] for part in arguments}) else sys.stdin.read()
if name == "kubectl":
    if arguments[0] == "kustomize":
        os.execv(os.environ["REAL_KUBECTL"], ["kubectl", *arguments])
    note(read=read)
    if "secret" in arguments and "get" in arguments and option("--output"):
        answer(os.environ.get("KEY_RING", ""))
    if "secret" in arguments and "get" in arguments:
        sys.exit(0 if arguments[-1] in state["secrets"] else 1)
    if "secret" in arguments and "create" in arguments:
        state["secrets"].append(arguments[arguments.index("generic") + 1])
        answer("kind: Secret" if "--dry-run=client" in arguments else "secret created")
    if "configmap" in arguments and "get" in arguments and option("--output"):
        kept = arguments[arguments.index("configmap") + 1]
        if kept == os.environ.get("WITHOUT"):
            refuse("Unable to connect to the server")
        data = os.environ.get({"gateway-revocation": "REVOCATION", "gateway-configuration": "CONFIGURATION"}[kept])
        # As --ignore-not-found has it: nothing is an answer too.
        answer({"kind": "ConfigMap", "data": json.loads(data)} if data else None)
    if "configmap" in arguments and "get" in arguments:
        sys.exit(0 if arguments[-1] in state["secrets"] else 1)
    if "configmap" in arguments and "create" in arguments:
        state["secrets"].append(arguments[arguments.index("configmap") + 1])
        answer("configmap created")
    if "get" in arguments:
        answer(json.loads(os.environ["FLOWS"]))
    answer()
note(read=read)
if name == "metaflow-gateway" and os.environ.get("WITHOUT") != name:
    answer('{"keys": []}')
