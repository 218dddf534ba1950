"""A first flow: three steps and an artifact.

python first.py run, with METAFLOW_SERVICE_URL and METAFLOW_SERVICE_HEADERS as deploy/local/run.sh prints them.
"""

from metaflow import FlowSpec, step


class FirstFlow(FlowSpec):
    @step
    def start(self):
        self.numbers = list(range(10))
        self.next(self.add)

    @step
    def add(self):
        self.total = sum(self.numbers)
        self.next(self.end)

    @step
    def end(self):
        print(f"the total is {self.total}")


if __name__ == "__main__":
    FirstFlow()
