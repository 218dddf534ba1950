"""`rfc9113.yaml` and `rfc7541.yaml` name a test for each MUST, `h2spec.yaml` for each group of h2spec's cases: here they are held to names that exist."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
LISTS = ["rfc9113.yaml", "rfc7541.yaml"]
# The sections in which a MUST, MUST NOT or SHALL binds a server, an endpoint or an intermediary; each has to be in the list.
SECTIONS = {
    "rfc9113.yaml": (
        "3.2 3.3 3.4 4.1 4.2 4.3 4.3.1 5.1 5.1.1 5.1.2 5.2.1 5.2.2 5.4 5.4.1 5.4.2 5.5 6.1 6.2 6.3 6.4 6.5 6.5.2 6.5.3 6.6 6.7 6.8 6.9 6.9.1 6.9.2 6.9.3 6.10 7 "
        "8.1 8.1.1 8.2 8.2.1 8.2.2 8.2.3 8.3 8.3.1 8.3.2 8.4 8.5 8.6 8.7 9.2 9.2.1 9.2.2 9.2.3 10.3 10.5.1 10.6").split(),
    "rfc7541.yaml": "2.1 2.3.2 2.3.3 3.2 4.2 5.1 5.2 6.1 6.2.3 6.3 7.1.3".split(),
}


def rows(name: str) -> list[tuple[str, dict]]:
    data = yaml.safe_load((HERE / name).read_text())
    return [(section, row) for section, found in data["sections"].items() for row in found]


ROWS = [pytest.param(name, section, row, id=f"RFC {name[3:7]} §{section}: {row['says']}") for name in LISTS for section, row in rows(name)]


@functools.cache
def names_in(file: str) -> set[str]:
    """What can be named of a file: the functions that pytest collects of it, the corpus's cases, or the sentences of Swift tests and their cases."""
    path = HERE / file if (HERE / file).exists() else HERE.parent / file
    assert path.exists(), f"{file} is not there"
    text = path.read_text()
    match path.suffix:
        case ".py":
            assert path.name.startswith("test_")
            return {item.name for item in ast.parse(text).body if isinstance(item, ast.FunctionDef) and item.name.startswith("test_")}
        case ".yaml":
            return {case["name"] for case in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["cases"]}
        case ".swift":
            return set(re.findall(r'(?:@Test|Violation)\("([^"]+)"', text))
    raise AssertionError(file)


@pytest.mark.parametrize("name, section, row", ROWS)
def test_a_rule_says_how_it_is_met_and_names_tests_that_exist(name, section, row):
    assert set(row) <= {"says", "by", "why", "held by"} and {"says", "by"} <= set(row), row
    is_exempt = row["by"] in ("not applicable", "not met")
    assert is_exempt or re.match(r"(libnghttp2|gateway|OpenSSL)\b", row["by"]), row["by"]
    assert ("why" in row) == is_exempt
    held = row.get("held by", [])
    assert held or is_exempt, "nothing would fail if it were broken"
    assert_named(held)


def assert_named(tests: list[str]) -> None:
    for test in tests:
        file, _, named = test.partition(": ")
        assert named in names_in(file), f"{test} is not there"


def test_every_group_of_h2spec_has_its_counterpart():
    for groups in yaml.safe_load((HERE / "h2spec.yaml").read_text()).values():
        for group, row in groups.items():
            assert set(row) <= {"held by", "but"} and row["held by"], group
            assert_named(row["held by"])


@pytest.mark.parametrize("name", LISTS)
def test_every_section_with_a_must_is_listed_in_order_and_each_rule_once(name):
    assert list(yaml.safe_load((HERE / name).read_text())["sections"]) == SECTIONS[name]
    said = [(section, row["says"]) for section, row in rows(name)]
    assert len(said) == len(set(said))


@pytest.mark.parametrize("file", ["test_http2_conformance.py", "corpus/http2-streams.yaml", "corpus/hpack.yaml"])
def test_what_was_written_for_the_lists_stands_in_them(file):
    """A test that is renamed or added is not forgotten there; what only accepts something stands in the row of what it is the border of."""
    named = {test.partition(": ")[2] for name in LISTS for _, row in rows(name) for test in row.get("held by", []) if test.startswith(f"{file}: ")}
    assert names_in(file) - named == set()
