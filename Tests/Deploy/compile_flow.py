"""Lets the real Metaflow compile flow.py for Argo, and prints its workflow template and its sensor as JSON.

`argo-workflows create` would send both to a cluster; this stands in for the cluster and keeps what arrives. The artifacts' bucket
is moto's, over HTTP on loopback.
"""

import json
import os
import sys

from metaflow.plugins.argo import argo_client

arrived = {}


class Cluster:
    """ArgoClient, as far as a first deployment calls it."""

    def __init__(self, namespace=None):
        self.namespace = namespace

    def get_workflow_template(self, name):
        return None

    def register_workflow_template(self, name, workflow_template):
        arrived["workflow_template"] = workflow_template | {"namespace": self.namespace}

    def schedule_workflow_template(self, name, schedule=None, timezone=None):
        arrived["schedule"] = {"cron": schedule, "namespace": self.namespace}

    def register_sensor(self, name, sensor=None, sensor_namespace=None):
        arrived["sensor"] = {"object": sensor if isinstance(sensor, dict) else json.loads(str(sensor)), "namespace": sensor_namespace}


argo_client.ArgoClient = Cluster
from metaflow.plugins.argo import argo_workflows  # noqa: E402

argo_workflows.ArgoClient = Cluster
import metaflow.plugins.argo.argo_workflows_cli as command_line  # noqa: E402

if hasattr(command_line, "ArgoClient"):
    command_line.ArgoClient = Cluster

sys.path.insert(0, os.path.dirname(__file__))
sys.argv = [os.path.join(os.path.dirname(__file__), "flow.py"), "--datastore", "s3", "--metadata", "local", "--no-pylint", "argo-workflows", "create"]
from flow import PromiseFlow  # noqa: E402

try:
    PromiseFlow()
except SystemExit as ended:
    if ended.code:
        raise
with open(os.environ["COMPILED"], "w") as file:
    json.dump(arrived, file)
