"""Reads a run with Metaflow's Client API and prints it as JSON: python read_back.py FLOW RUN."""

import json
import sys

from metaflow import Run, namespace

namespace(None)
run = Run(f"{sys.argv[1]}/{sys.argv[2]}")
steps = {}
for step in run:
    tasks = []
    for task in step:
        artifacts = {}
        for artifact in task:
            if artifact.id.startswith("_") or artifact.id == "name":
                continue
            data = artifact.data
            artifacts[artifact.id] = len(data) if isinstance(data, bytes) else data
        tasks.append({
            "id": task.id, "successful": task.successful, "finished": task.finished, "current_attempt": task.current_attempt,
            "artifacts": artifacts, "metadata": sorted({m.name for m in task.metadata}), "origin": task.origin_pathspec,
        })
    steps[step.id] = tasks
json.dump({
    "successful": run.successful, "finished": run.finished, "tags": sorted(run.user_tags), "system_tags": sorted(run.system_tags),
    "end": run.end_task.id if run.end_task else None, "steps": steps, "pathspec": run.pathspec,
}, sys.stdout, default=str)
