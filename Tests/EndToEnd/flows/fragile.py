"""Fails in its second step while FRAGILE says so, to be resumed from there."""

import os
import uuid

from metaflow import FlowSpec, step


class FragileFlow(FlowSpec):
    @step
    def start(self):
        self.mark = uuid.uuid4().hex
        self.next(self.middle)

    @step
    def middle(self):
        if os.environ.get("FRAGILE") == "1":
            raise RuntimeError("broken on purpose")
        self.seen = self.mark
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FragileFlow()
