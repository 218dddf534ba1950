"""promtool, and what a PromQL expression names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

# Labels that Prometheus and its operator add to whatever a pod exposes; of these a pod's own wins only with honorLabels.
ADDED_LABELS = {"job", "namespace", "pod", "container", "endpoint", "instance"}
# Those by which alerts and dashboard may tell pods apart.
TARGET_LABELS = ADDED_LABELS - {"endpoint"}
# Measured by Prometheus, about its targets.
OF_PROMETHEUS = {"up"}


def promtool():
    """The one on the PATH, or the one that run.sh put beside Python."""
    return shutil.which("promtool") or shutil.which("promtool", path=Path(sys.executable).parent)


def run(*arguments):
    return subprocess.run([promtool(), *arguments], capture_output=True, text=True)


def expand(expression):
    """As Grafana fills in what it knows."""
    for name, value in (("$__rate_interval", "1m"), ("$stage", ".*"), ("$pod", ".*")):
        expression = expression.replace(name, value)
    return expression


def metrics(expression):
    """The families that an expression reads, as an exposition's TYPE lines name them: a histogram's parts are the histogram."""
    found = set(re.findall(r"\b(?:gw|process)_[a-z0-9_]+|\bup\b", re.sub(r'"[^"]*"', "", expression)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) if re.search(r"_seconds_(bucket|count|sum)$", name) else name for name in found}


def labels(expression):
    """(family, labels) of each selector, and the labels that the expression groups by."""
    selectors = [(metrics(name).pop(), set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)))
                 for name, inside in re.findall(r"\b((?:gw|process)_[a-z0-9_]+|up)\{([^}]*)\}", expression)]
    grouped = {each.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for each in group.split(",")}
    return selectors, grouped
