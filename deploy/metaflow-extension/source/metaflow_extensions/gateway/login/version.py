"""The extension's own version, which `/cli/config` may demand a minimum of."""

from __future__ import annotations

VERSION = "1.0.0"


def version_key(text: str) -> tuple[int, ...]:
    """The dotted numbers of a version, for comparison; what is not a number ends it (`1.2.0rc1` counts as 1.2.0)."""
    numbers: list[int] = []
    for part in text.split(".")[:6]:
        digits = ""
        for character in part:
            if not character.isascii() or not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits[:9]))
        if digits != part:
            break
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def is_older(version: str, minimum: str) -> bool:
    return version_key(version) < version_key(minimum)
