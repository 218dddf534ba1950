"""Reads the attack corpus (corpus/*.yaml, whose format corpus/README.md tells) into cases with exact bytes."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "corpus"

PROTOCOLS = {"HTTP/1.1", "HTTP/2", "response"}
FAMILY_KEYS = {"family", "protocol", "see", "lists", "cases", "advisories", "covered_elsewhere"}
EXPECTATION_KEYS = {"refuse", "decline", "malformed", "reset", "goaway", "forward", "deliver", "cut", "answers", "arrives", "begins", "perhaps", "closes", "code"}
CASE_KEYS = {
    "HTTP/1.1": {"name", "see", "each", "route", "line", "host", "fields", "body", "send", "steps", "alone", "upstream"} | EXPECTATION_KEYS,
    "HTTP/2": {"name", "see", "each", "route", "set", "without", "before", "add", "fields", "body", "ends", "trailers", "block", "frames", "upstream"} | EXPECTATION_KEYS,
    "response": {"name", "see", "each", "method", "fields", "upstream"} | EXPECTATION_KEYS,
}
# What places in the data stand for; `{A x 70000}` is a repetition.
PLACE = re.compile(r"\{(?:(\w+)|([^{}]+?) x (\d+))\}")


@dataclass
class Case:
    family: str
    protocol: str
    name: str
    see: str
    number: int
    data: dict[str, Any]
    values: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """What this case asks for; no other case does."""
        return f"{self.data.get('route', '')}/c/{self.number}"

    @property
    def canary(self) -> str:
        """The path of the innocent request that follows on the same connection."""
        return f"/c/{self.number}/canary"

    def text(self, template: str) -> str:
        """The template with its places filled; each character is one byte."""

        def fill(match: re.Match[str]) -> str:
            name, repeated, count = match.groups()
            if repeated is not None:
                return repeated * int(count)
            match name:
                case "path":
                    return self.path
                case "canary":
                    return f"GET {self.canary} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                case "inner":
                    return f"GET {self.path}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
                case "number":
                    return str(self.number)
                case _:
                    return self.text(self.values[name])

        return PLACE.sub(fill, template)

    def chosen(self, text: str) -> str:
        """The text with this case's values of `each`; other places stay."""
        for name, value in self.values.items():
            text = text.replace("{" + name + "}", value)
        return text

    def bytes(self, template: str | list[str]) -> bytes:
        return self.text("".join(template) if isinstance(template, list) else template).encode("latin-1")

    def pairs(self, key: str) -> list[tuple[bytes, bytes]]:
        return [(self.bytes(name), self.bytes(value)) for name, value in self.data.get(key, [])]

    @property
    def is_refused(self) -> bool:
        """The case says that none of it may reach the upstream as a whole request."""
        return any(key in self.data for key in ("refuse", "decline", "malformed", "reset", "goaway", "cut"))

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"


def read_corpus() -> list[Case]:
    cases: list[Case] = []
    for file in sorted(FOLDER.glob("*.yaml")):
        family = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        wrong = set(family) - FAMILY_KEYS
        assert not wrong and family["protocol"] in PROTOCOLS, f"{file.name}: {wrong or family['protocol']}"
        for data in family["cases"]:
            wrong = set(data) - CASE_KEYS[family["protocol"]]
            assert not wrong, f"{file.name}: {data.get('name')}: unknown {wrong}"
            assert set(data) & EXPECTATION_KEYS, f"{file.name}: {data['name']}: expects nothing"
            for labels, values in combinations(data.get("each", {})):
                name = PLACE.sub(lambda match: labels.get(match.group(1), match.group(0)), data["name"])
                cases.append(Case(family["family"], family["protocol"], name, data.get("see", family["see"]), len(cases) + 1, data, values))
    names = [str(case) for case in cases]
    assert len(names) == len(set(names)), f"named twice: {sorted({name for name in names if names.count(name) > 1})}"
    return cases


def read_advisories() -> tuple[dict[str, str], dict[str, str]]:
    """Every advisory with its lesson; and those that no single message shows, each with the test that holds to it."""
    family = yaml.safe_load((FOLDER / "advisories.yaml").read_text())
    return family["advisories"], family["covered_elsewhere"]


def combinations(each: dict[str, dict[str, str] | list[str]]):
    """Every choice of one value for each name: `(name → how it is called, name → what it is)`."""
    choices = []
    for name, values in each.items():
        pairs = values.items() if isinstance(values, dict) else [(value, value) for value in values]
        choices.append([(name, str(label), value) for label, value in pairs])
    for combination in itertools.product(*choices):
        yield {name: label for name, label, _ in combination}, {name: value for name, _, value in combination}
