"""What the platform promises, in one flow: @retry, @card, foreach, a schedule, an event, every tier."""

from metaflow import FlowSpec, card, kubernetes, resources, retry, schedule, step, trigger


@schedule(cron="0 6 * * *")
@trigger(event="new-recordings")
class PromiseFlow(FlowSpec):
    @step
    def start(self):
        self.branches = list(range(3000))
        self.next(self.simulate, foreach="branches")

    @retry(times=3)
    @card
    @resources(cpu=2, memory=8000)
    @step
    def simulate(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.train)

    @resources(gpu=1, cpu=8, memory=32000)
    @step
    def train(self):
        self.next(self.train_large)

    @resources(gpu=8, cpu=90, memory=900000)
    @step
    def train_large(self):
        self.next(self.evaluate)

    @kubernetes(gpu=1, labels={"metaflow.simulation.amazon.dev/tier": "top-tier-gpu"})
    @step
    def evaluate(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PromiseFlow()
