"""Acts out the Kyverno policies on a pod, from the policies' own text, with a CEL interpreter.

The interpreter is cel-python. Kubernetes adds functions of its own to CEL; those that the policies use are here, as
https://kubernetes.io/docs/reference/using-api/cel defines them: quantities, sum, jsonpatch.escapeKey, and the JSONPatch type.
"""

import copy
import functools
import re
from decimal import Decimal

import celpy
from celpy import celtypes

SUFFIXES = {"": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
            "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}


class Quantity(str):
    """A Kubernetes quantity: 500m, 1.5, 4096M, 16Gi."""

    def value(self):
        found = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)([a-zA-Z]{0,2})", self)
        if not found or found.group(2) not in SUFFIXES:
            raise celpy.CELEvalError(f"no quantity: {self}")
        return Decimal(found.group(1)) * SUFFIXES[found.group(2)]


def total(values):
    numbers = list(values)
    if not numbers:
        return celtypes.IntType(0)
    return type(numbers[0])(sum(numbers))


FUNCTIONS = {
    "quantity": lambda text: Quantity(str(text)),
    "asApproximateFloat": lambda quantity: celtypes.DoubleType(float(quantity.value())),
    "sum": total,
    "escapeKey": lambda library, key: celtypes.StringType(key.replace("~", "~0").replace("/", "~1")),
}


@functools.cache
def program(expression):
    environment = celpy.Environment()
    return environment.program(environment.compile(expression), functions=FUNCTIONS)


def plain(value):
    """A CEL value as Python has it."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    if isinstance(value, celtypes.IntType):
        return int(value)
    if isinstance(value, celtypes.DoubleType):
        return float(value)
    return str(value)


def evaluate(expression, pod, variables):
    result = program(expression).evaluate({
        "object": celpy.json_to_cel(pod), "variables": celtypes.MapType({celtypes.StringType(k): v for k, v in variables.items()}),
        "jsonpatch": celtypes.MapType(), "JSONPatch": dict,
    })
    if isinstance(result, Exception):
        raise result
    return result


def variables_of(policy, pod):
    known = {}
    for variable in policy["spec"].get("variables", []):
        known[variable["name"]] = evaluate(variable["expression"], pod, known)
    return known


def matches(policy, pod, namespace_labels):
    """Whether the policy concerns this pod, which is being created."""
    constraints = policy["spec"]["matchConstraints"]
    selector = constraints["namespaceSelector"]
    for key, value in selector.get("matchLabels", {}).items():
        if namespace_labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if namespace_labels.get(rule["key"]) not in rule["values"]:
            return False
    assert any("pods" in rule["resources"] and "CREATE" in rule["operations"] for rule in constraints["resourceRules"])
    return all(plain(evaluate(each["expression"], pod, {})) for each in policy["spec"].get("matchConditions", []))


def patched(pod, patches):
    """RFC 6902, the operation `add`, which is all that the policies use."""
    pod = copy.deepcopy(pod)
    for patch in patches:
        assert patch["op"] == "add"
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in patch["path"].split("/")[1:]]
        target = pod
        for part in way:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list):
            target.insert(len(target) if last == "-" else int(last), patch["value"])
        else:
            target[last] = patch["value"]
    return pod


def admit(policies, pod, namespace_labels):
    """The pod as the cluster would store it, and the sentences of whoever refused it: mutation first, then validation."""
    mutating = [each for each in policies if each["kind"] == "MutatingPolicy"]
    validating = [each for each in policies if each["kind"] == "ValidatingPolicy"]
    for policy in mutating:
        if not matches(policy, pod, namespace_labels):
            continue
        variables = variables_of(policy, pod)
        for mutation in policy["spec"]["mutations"]:
            assert mutation["patchType"] == "JSONPatch"
            pod = patched(pod, plain(evaluate(mutation["jsonPatch"]["expression"], pod, variables)))
    refusals = []
    for policy in validating:
        if not matches(policy, pod, namespace_labels):
            continue
        assert policy["spec"]["validationActions"] == ["Deny"]
        variables = variables_of(policy, pod)
        for validation in policy["spec"]["validations"]:
            if not plain(evaluate(validation["expression"], pod, variables)):
                refusals.append(validation.get("message") or plain(evaluate(validation["messageExpression"], pod, variables)))
    return pod, refusals
