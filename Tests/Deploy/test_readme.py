"""deploy/README.md and its diagram tell the truth about the files."""

import re
import shutil
import subprocess

import pytest

from templates import ROOT, STACKS
from test_import_graph import NEEDS

DEPLOY = ROOT / "deploy"
README = (DEPLOY / "README.md").read_text()


def test_every_file_that_it_names_is_there():
    named = set(re.findall(r"`((?:kubernetes|cloudformation|container|systemd|local)/[\w./-]+)", README)) | set(re.findall(r"\]\(([\w./-]+)\)", README))
    missing = [each for each in named if not (DEPLOY / each).exists() and "STAGE" not in each]
    assert len(named) > 25 and not missing


@pytest.mark.parametrize("promise", [
    "no infrastructure", "GPU autoscaling from zero", "reproducibility", "resume from any point", "live monitoring", "@card", "@retry", "@checkpoint",
    "`foreach` branches", "cron", "events", "flow to flow", "sign-on", "no shared credentials", "no manual rotation",
])
def test_each_promise_of_the_platform_has_its_row(promise):
    table = README[README.index("| The platform promises"):README.index("## Which tier")]
    row = next((line for line in table.splitlines() if promise in line.split("|")[1:2][0]), None) if promise in table else None
    assert row and "`" in row.split("|")[2]


def test_the_table_of_imports_is_the_graph():
    table = README[README.index("## Who needs whom"):README.index("## Each promise")]
    rows = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in table.splitlines()) if len(cells) > 3}
    for name in STACKS:
        told = set() if rows[name] == "nothing" else set(rows[name].split(", "))
        assert told == NEEDS[name]


def test_the_number_of_pod_addresses_is_right():
    from test_manifests import cidrs
    room = sum(subnet.num_addresses - 5 for name, subnet in cidrs().items() if name.startswith("Pod"))
    assert f"{room:,} pod addresses" in README


def test_the_diagram_is_drawn_from_its_source():
    source, drawn = (DEPLOY / "platform.dot").read_text(), (DEPLOY / "platform.svg").read_text()
    texts = {re.sub(r"&#(\d+);", lambda found: chr(int(found.group(1))), text).replace("&#45;", "-").replace("&amp;", "&").replace("&gt;", ">") for text in re.findall(r"<text [^>]*>([^<]+)</text>", drawn)}
    for label in re.findall(r'label="([^"]+)"', source):
        for line in label.split("\\n"):
            assert re.sub(r"\s+", " ", line) in {re.sub(r"\s+", " ", each.replace("\xa0", " ")) for each in texts}, f"redraw: dot -Tsvg deploy/platform.dot -o deploy/platform.svg ({line})"


@pytest.mark.skipif(not shutil.which("dot"), reason="graphviz is missing: the diagram's source was NOT drawn")
def test_the_diagram_s_source_can_be_drawn():
    done = subprocess.run(["dot", "-Tsvg", DEPLOY / "platform.dot"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("<g id=\"node") > 15
