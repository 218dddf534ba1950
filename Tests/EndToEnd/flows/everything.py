"""What a real run asks of the metadata service: a wide foreach, artifacts, a failing attempt under @retry, a join, and a step that
outlasts three heartbeats, which come every 10 s."""

import time

from metaflow import FlowSpec, Parameter, current, retry, step


class EverythingFlow(FlowSpec):
    width = Parameter("width", default=8)
    seconds = Parameter("seconds", help="How long the long step takes.", default=45)

    @step
    def start(self):
        self.items = list(range(self.width))
        self.next(self.square, foreach="items")

    @retry(times=2, minutes_between_retries=0)
    @step
    def square(self):
        if self.input == 3 and current.retry_count == 0:
            raise RuntimeError("this attempt fails on purpose")
        self.attempt = current.retry_count
        self.result = self.input**2
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.results = sorted(branch.result for branch in inputs)
        self.attempts = {branch.input: branch.attempt for branch in inputs}
        self.next(self.long)

    @step
    def long(self):
        time.sleep(self.seconds)
        self.message = "höher, weiter — ünïcødé"
        self.payload = b"x" * 200_000
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    EverythingFlow()
