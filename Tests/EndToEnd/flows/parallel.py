"""A wide foreach whose tasks last longer than a token lives."""

import os
import time

from metaflow import FlowSpec, Parameter, step


class ParallelFlow(FlowSpec):
    seconds = Parameter("seconds", default=1.0, help="How long each task works.")
    tasks = Parameter("tasks", default=2, help="How many tasks there are at once.")

    @step
    def start(self):
        self.items = list(range(self.tasks))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            time.sleep(0.2)
        self.value = self.input * 2
        self.profile = os.environ.get("METAFLOW_GATEWAY_PROFILE")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(branch.value for branch in inputs)
        self.profiles = sorted({branch.profile for branch in inputs})
        self.next(self.end)

    @step
    def end(self):
        print("the total is", self.total, "with the login", self.profiles)


if __name__ == "__main__":
    ParallelFlow()
