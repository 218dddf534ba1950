"""People with a laptop, from the first line that they type: the extension from the gateway's own `/cli`, one login, and runs that outlive
their access tokens (10 s here, each refresh token good for one refresh) by far. Two such runs go on at once, one of them through an outage
of the identity provider, while the shorter tests look at everything else."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from chromium import Chromium
from laptop import Installation, Laptop, Watcher, guide
from person import sign_in, visit
from stack import AUTHORITY, ROOT, Process, Stack, eventually

LIFE = 10
SHORT_TOKENS = ("--access-token-seconds", str(LIFE), "--refresh-grace-seconds", "0")
TASKS, SECONDS, AT_LEAST = 12, 80, 90
WIDE = ("--tasks", str(TASKS), "--seconds", str(SECONDS), "--max-workers", str(TASKS))
EXTENSION = ROOT / "deploy/metaflow-extension"


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("steady"), *SHORT_TOKENS)
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its identity provider is a process of its own, which will be killed."""
    stack = Stack(tmp_path_factory.mktemp("shaken"), *SHORT_TOKENS, provider_alone=True)
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def installation(steady: Stack, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The extension as the stage gives it out, installed with the very line that its page shows."""
    installation = Installation(tmp_path_factory.mktemp("laptop") / "environment")
    result = installation.pip(guide(steady)["install"])
    assert result.returncode == 0, result.stdout + result.stderr
    return installation


@dataclass
class ChromiumLogin:
    laptop: Laptop
    code: int
    said: str
    page: str


@pytest.fixture(scope="module")
def chromium_login(steady: Stack, installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> ChromiumLogin:
    """The login of the long run: the command opens a browser, a person signs in."""
    folder = tmp_path_factory.mktemp("chromium")
    laptop, address = Laptop(installation, folder / "home"), folder / "address"
    laptop.environment["BROWSER"] = laptop.environment["BROWSER"].replace("sign-in %s &", f"note {address} %s")
    browser = Chromium(folder / "profile")
    try:
        command = laptop.start(installation.bin / "metaflow-gateway-login", steady.url)
        eventually(lambda: address.exists() or command.process.poll() is not None, f"the command to open a browser\n{command.output}")
        page = browser.sign_in(address.read_text())
        code, said = laptop.finish(command, 60)
    finally:
        browser.close()
    return ChromiumLogin(laptop, code, said, page)


@dataclass
class LongRun:
    laptop: Laptop
    stack: Stack
    watcher: Watcher
    process: Process
    began: float = field(default_factory=time.monotonic)
    ended: float = 0

    def finish(self) -> str:
        code, output = Laptop.finish(self.process, 300)
        self.ended = time.monotonic()
        assert code == 0, output
        return output

    def answers(self) -> list[int]:
        """What the metadata service's callers were told, 0 for those that left."""
        return [entry["status"] for entry in self.stack.log() if entry["path"].startswith("/api/metadata/")]


@dataclass
class Outage:
    """The provider dies right after a refresh, so that no answer of its is lost, and comes back 20 s later."""

    stack: Stack
    laptop: Laptop
    run: Process
    refreshes_before: int = 0
    requests_before: int = 0
    seconds: float = 0
    problem: BaseException | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._guarded, daemon=True)
        self.thread.start()

    def _guarded(self) -> None:
        try:
            self._happen()
        except BaseException as problem:
            self.problem = problem

    def _happen(self) -> None:
        work = re.compile(r"/api/metadata/flows/ParallelFlow/runs/\d+/steps/work/tasks/\d+/heartbeat")
        eventually(lambda: [entry for entry in self.stack.log() if work.fullmatch(entry["path"])] or self.run.process.poll() is not None, "the tasks to work", 120)
        spent = self.refresh_token()
        # When the new one is in its file, the refresh is over, and the next is most of a token's life away.
        eventually(lambda: self.refresh_token() != spent, "a refresh", 60)
        counters = self.stack.counters()
        self.refreshes_before, self.requests_before = counters["refreshes"], counters["token_requests"]
        self.stack.provider.end(signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: time.monotonic() >= killed + 20, "the end of the outage")
        self.stack.provider = self.stack.start_provider()
        self.seconds = time.monotonic() - killed

    def refresh_token(self) -> str:
        return json.loads(self.laptop.tokens("local").read_text())["refresh_token"]

    def over(self) -> None:
        self.thread.join(300)
        assert not self.thread.is_alive()
        if self.problem is not None:
            raise self.problem


@pytest.fixture(scope="module")
def runs(steady: Stack, shaken: Stack, installation: Installation, chromium_login: ChromiumLogin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Both long runs, begun at once, and the outage under the second."""
    other = Laptop(installation, tmp_path_factory.mktemp("other") / "home")
    watcher = Watcher(other.logins)
    code, said = other.login(shaken.url)
    assert code == 0, said
    first = LongRun(chromium_login.laptop, steady, Watcher(chromium_login.laptop.logins), chromium_login.laptop.run("parallel.py", *WIDE))
    second = LongRun(other, shaken, watcher, other.run("parallel.py", *WIDE))
    outage = Outage(shaken, other, second.process)
    yield {"steady": first, "shaken": second, "outage": outage}
    for run in (first, second):
        run.process.end(signal.SIGINT)
    outage.thread.join(60)


# --- Two lines


def test_the_wheel_is_the_one_that_the_configuration_names_and_brings_the_command(steady, installation):
    told = json.loads(steady.ask("/cli/config")[1])
    built = (steady.folder / ".local" / told["wheel"]["name"]).read_bytes()
    assert told["wheel"]["sha256"] == sha256(built).hexdigest()
    assert told["wheel"]["name"] == f"metaflow_gateway_extension-{installation.version()}-py3-none-any.whl"


def test_a_login_in_chromium_ends_with_both_the_page_and_the_command_saying_so(chromium_login):
    assert chromium_login.code == 0, chromium_login.said
    assert "You are logged in to local as ada (science)." in chromium_login.said
    assert "You are logged in" in chromium_login.page and "go back to your terminal" in chromium_login.page


# --- Beside the long runs, which begin here


def test_two_stages_at_once_do_not_mix(runs, steady, installation):
    """The second login comes in the middle of the first stage's run, whose later tasks must stay where they began."""
    laptop = runs["steady"].laptop
    second_url = f"https://second.localhost:{steady.port}"
    eventually(lambda: [entry for entry in steady.log() if "/steps/work/" in entry["path"]] or runs["steady"].process.process.poll() is not None, "the first stage's tasks", 120)
    code, said = laptop.login(second_url, BROWSER=Laptop(installation, laptop.home).environment["BROWSER"])
    assert code == 0 and "You are logged in to second as ada" in said, said
    code, output = Laptop.finish(laptop.run("parallel.py", "--tasks", "3", "--seconds", "5"), 240)
    assert code == 0 and "the total is 6 with the login ['second']" in output, output
    stages: dict[str, set[str]] = {}
    for entry in steady.log():
        if found := re.search(r"/flows/ParallelFlow/runs/(\d+)", entry["path"]):
            stages.setdefault(entry["stage"], set()).add(found[1])
            assert entry["status"] != 401, entry
    assert set(stages) == {"local", "second"}
    assert stages["local"].isdisjoint(stages["second"]) and [len(each) for each in stages.values()] == [1, 1], stages
    # A profile chooses, and what is chosen is the stage's own login.
    for profile, url in (("local", steady.url), ("second", second_url)):
        code, said = laptop.login("--status", METAFLOW_PROFILE=profile)
        assert code == 0 and url in said and "logged in as ada" in said, said


@pytest.fixture
def laptop(installation: Installation, tmp_path: Path) -> Laptop:
    """A new home; logins to the stack whose tokens live an hour."""
    return Laptop(installation, tmp_path / "home")


ASK = """
import os, sys
from metaflow_extensions.gateway.login.fresh_tokens import FreshTokens
from metaflow_extensions.gateway.login.profile import ProfileStore
tokens = FreshTokens(ProfileStore.of(os.environ).load("local"))
print("ready", flush=True)
sys.stdin.readline()
print(tokens.access_token())
"""


def test_fifty_processes_that_refresh_at_once_make_one_request(runs, stack, laptop):
    code, said = laptop.login(stack.url)
    assert code == 0, said
    stored = json.loads(laptop.tokens("local").read_text())
    # As old as a token can be.
    laptop.tokens("local").write_text(json.dumps(stored | {"access_seconds": 0.0}))
    before = stack.counters()
    processes = [
        subprocess.Popen([str(laptop.installation.python), "-c", ASK], env=laptop.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(50)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        tokens = {process.communicate(timeout=120)[0].strip() for process in processes}
    finally:
        for process in processes:
            process.kill()
            process.wait()
    after = stack.counters()
    assert len(tokens) == 1 and tokens != {stored["access_token"]}
    assert {name: after[name] - before[name] for name in ("refreshes", "token_requests")} == {"refreshes": 1, "token_requests": 1}
    assert stack.ask("/cli/whoami", tokens.pop())[0] == 200


def test_a_machine_without_a_browser_logs_in_with_the_code_of_the_stages_own_page(runs, stack, laptop):
    environment = {name: value for name, value in laptop.environment.items() if name != "BROWSER"}
    command = subprocess.Popen(
        [str(laptop.installation.bin / "metaflow-gateway-login"), stack.url, "--no-browser"], env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = next(word for line in command.stderr for word in line.split() if "/oauth2/authorize?" in word)
        back = sign_in(address)
        assert back.startswith(f"{stack.url}/cli/callback?"), back
        shown = re.search(r'<pre class="code"[^>]*><code>([^<]+)</code>', visit(back, AUTHORITY))[1]
        said = command.communicate(shown + "\n", timeout=60)[1]
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0 and "You are logged in to local as ada (science)." in said, said


def test_logging_out_revokes_the_login_at_the_provider(runs, stack, laptop):
    assert laptop.login(stack.url)[0] == 0
    refresh_token = json.loads(laptop.tokens("local").read_text())["refresh_token"]
    revocations = stack.counters()["revocations"]
    code, said = laptop.login("--logout")
    assert code == 0, said
    assert stack.counters()["revocations"] == revocations + 1
    assert [path for path in laptop.logins.rglob("*") if path.is_file() and refresh_token in path.read_text()] == []
    code, output = Laptop.finish(laptop.run("first.py", METAFLOW_PROFILE="local"), 60)
    assert code != 0 and f"You are not logged in to local; run: metaflow-gateway-login {stack.url}" in output, output


@pytest.mark.skipif(shutil.which("strace") is None, reason="this machine has no strace")
def test_the_kernel_is_never_asked_for_a_file_of_a_login_that_others_may_open(runs, stack, laptop, tmp_path):
    """Each name and mode that the login and a refresh give to the kernel, those included that exist for an instant."""
    trace = tmp_path / "trace"
    calls = "trace=open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,link,linkat,mknod,mknodat"
    strace = ["strace", "-f", "-e", calls, "-o", trace]
    code, said = Laptop.finish(laptop.start(*strace, laptop.installation.bin / "metaflow-gateway-login", stack.url), 120)
    if code != 0 and "ptrace" in said:
        pytest.skip("this machine does not allow tracing")
    assert code == 0, said
    lines = trace.read_text().splitlines()
    stored = json.loads(laptop.tokens("local").read_text())
    laptop.tokens("local").write_text(json.dumps(stored | {"access_seconds": 0.0}))
    code, said = Laptop.finish(laptop.start(*strace, laptop.installation.bin / "metaflow-gateway-login", "--status"), 120)
    assert code == 0 and json.loads(laptop.tokens("local").read_text())["refresh_token"] != stored["refresh_token"], said
    # What failed, such as making a folder that is there, made nothing.
    ours = [line for line in lines + trace.read_text().splitlines() if str(laptop.logins) in line and " = -1 " not in line]
    made = [line for line in ours if "O_CREAT" in line]
    assert len([line for line in made if "tokens" in line and "O_EXCL" in line]) >= 2, ours
    # A call during which another thread makes one is written in two parts: "0600 <unfinished ...>".
    assert [line for line in made if not re.search(r", 0600\b", line)] == []
    assert [line for line in ours if re.search(r"(mkdir|chmod)", line) and not re.search(r", 0[67]00\b", line)] == []


# --- One sentence each


def test_an_unknown_authority_is_one_sentence(runs, stack, laptop):
    code, said = laptop.login(stack.url, REQUESTS_CA_BUNDLE="")
    assert code == 1 and said.count("\n") == 0, said
    assert "signed by an authority that this machine does not trust" in said and "export REQUESTS_CA_BUNDLE=/path/to/ca.pem" in said


def test_a_proxy_variable_is_one_sentence(runs, stack, laptop):
    code, said = laptop.login(stack.url, HTTPS_PROXY="http://127.0.0.1:9")
    assert code == 1 and said.count("\n") == 0, said
    assert "localhost cannot be reached through the proxy 127.0.0.1:9 that HTTPS_PROXY names" in said and "NO_PROXY" in said


@pytest.mark.parametrize(("ahead", "words"), [(5400, "90 min fast"), (-86_400, "24 h slow")])
def test_a_wrong_clock_is_one_sentence_and_the_login_and_a_run_work_all_the_same(runs, stack, laptop, ahead, words):
    clock = {"LAPTOP_CLOCK_AHEAD": str(ahead)}
    code, said = laptop.login(stack.url, **clock)
    notes = [line for line in said.splitlines() if line.startswith("Note: ")]
    assert code == 0 and len(notes) == 1 and f"This machine's clock is {words}; set it (for example: sudo timedatectl set-ntp true)" in notes[0], said
    code, said = laptop.login("--status", **clock)
    assert code == 0 and words in said and "logged in as ada" in said, said
    code, output = Laptop.finish(laptop.run("first.py", **clock), 120)
    assert code == 0, output


def test_a_netrc_entry_is_one_sentence_before_and_after_the_login(runs, stack, laptop):
    netrc = laptop.home / ".netrc"
    netrc.write_text("machine localhost login ada password secret\n")
    netrc.chmod(0o600)
    sentence = f"{netrc} has an entry for localhost"
    code, said = laptop.login(stack.url)
    assert code == 0 and [line for line in said.splitlines() if line.startswith("Note: ") and sentence in line], said
    code, output = Laptop.finish(laptop.run("first.py"), 60)
    assert code != 0 and sentence in output and "remove it, or export NETRC=/dev/null" in output, output
    code, output = Laptop.finish(laptop.run("first.py", NETRC="/dev/null"), 120)
    assert code == 0, output


def test_an_old_wheel_is_one_sentence_whose_line_brings_the_new_one(runs, stack, installation, tmp_path):
    old = tmp_path / "source"
    shutil.copytree(EXTENSION, old, ignore=shutil.ignore_patterns("tests", "dist", ".*", "__pycache__"))
    version = old / "source/metaflow_extensions/gateway/login/version.py"
    version.write_text(re.sub(r'^VERSION = ".*"$', 'VERSION = "0.9.0"', version.read_text(), flags=re.M))
    subprocess.run([str(installation.python), str(old / "build_wheel.py"), "--out", str(tmp_path)], check=True, capture_output=True)
    outdated = Installation(tmp_path / "environment")
    result = outdated.pip(f"pip install --no-deps {tmp_path}/metaflow_gateway_extension-0.9.0-py3-none-any.whl")
    assert result.returncode == 0 and outdated.version() == "0.9.0", result.stderr
    code, said = Laptop(outdated, tmp_path / "home").login(stack.url)
    assert code == 1 and said.count("\n") == 0, said
    assert "This metaflow_gateway_extension is 0.9.0 and local needs 1.0.0 or later" in said
    result = outdated.pip(said.rpartition("run: ")[2])
    assert result.returncode == 0 and outdated.version() == installation.version(), result.stdout + result.stderr


# --- The long runs' ends


def test_a_run_of_twelve_tasks_outlives_its_tokens(runs, steady):
    run = runs["steady"]
    output = run.finish()
    lasted = run.ended - run.began
    assert f"the total is {sum(range(TASKS)) * 2} with the login ['local']" in output
    assert lasted >= AT_LEAST
    answers, counters = run.answers(), steady.counters()
    assert answers.count(401) == 0 and set(answers) <= {0, 200, 201, 404, 409}, sorted(set(answers))
    # Two logins redeemed a code; every other request was a refresh, and no token was refreshed twice: a spent one would have been refused,
    # which ends a login, and there are no more of them than lives of a token. Nobody refreshes while nobody asks, so there may be fewer.
    assert counters["token_requests"] == counters["refreshes"] + 2, counters
    assert AT_LEAST / LIFE / 2 <= counters["refreshes"] <= 2 * (lasted / (0.8 * LIFE) + 2), counters
    print(f"\n{lasted:.0f} s, {len(answers)} requests, {counters['refreshes']} refreshes, no 401")


def test_a_run_of_twelve_tasks_outlives_its_tokens_and_twenty_seconds_without_the_provider(runs, shaken):
    run, outage = runs["shaken"], runs["outage"]
    output = run.finish()
    outage.over()
    lasted = run.ended - run.began
    assert f"the total is {sum(range(TASKS)) * 2} with the login ['local']" in output
    assert lasted >= AT_LEAST and outage.seconds >= 20
    answers, counters = run.answers(), shaken.counters()
    assert answers.count(401) == 0 and set(answers) <= {0, 200, 201, 404, 409}, sorted(set(answers))
    assert outage.requests_before == outage.refreshes_before + 1, "one login"
    # Since its restart the provider has redeemed nothing: refreshes alone, one for each token's life.
    assert counters["token_requests"] == counters["refreshes"] >= 1, counters
    assert outage.refreshes_before + counters["refreshes"] <= lasted / (0.8 * LIFE) + 2, counters
    print(f"\n{lasted:.0f} s, {outage.seconds:.0f} s of them without the provider, {len(answers)} requests, {outage.refreshes_before} and {counters['refreshes']} refreshes, no 401")


@pytest.mark.parametrize("name", ["steady", "shaken"])
def test_no_file_of_a_login_was_open_to_others_at_any_time(runs, name):
    """Under umask 0, through a login, a run and all of its refreshes."""
    watcher = runs[name].watcher
    assert watcher.end() == set()
    assert "tokens.json" in watcher.seen and "tokens.lock" in watcher.seen
