"""How much time has passed, also when somebody sets the clock.

A token's life is counted from the moment at which it was asked for, never by comparing its `exp` with the local clock,
so a clock that is wrong by a constant does no harm. A clock that is set back in the middle of a run would still make an
old token look young; therefore a reading also holds the time since the machine started, where the system tells it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NEVER = float("inf")


@dataclass(frozen=True)
class Reading:
    """One look at both clocks. `boot` names the start of the machine; it is empty where the system does not say."""

    wall: float
    boot: str = ""
    since_boot: float = 0.0

    def elapsed(self, earlier: Reading) -> float:
        """Seconds since `earlier`; `inf` when the clocks contradict that any such moment has been."""
        by_wall = self.wall - earlier.wall
        if self.boot and self.boot == earlier.boot:
            return max(by_wall, self.since_boot - earlier.since_boot)
        return by_wall if by_wall >= 0 else NEVER

    def to_json(self) -> dict[str, Any]:
        return {"wall": self.wall, "boot": self.boot, "since_boot": self.since_boot}

    @classmethod
    def from_json(cls, value: Any) -> Reading:
        if not isinstance(value, dict):
            raise ValueError("a clock reading must be an object")
        return cls(float(value["wall"]), str(value.get("boot", "")), float(value.get("since_boot", 0.0)))


@lru_cache(maxsize=1)
def _boot_identifier() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def read_clocks() -> Reading:
    boot = _boot_identifier()
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if not boot or clock is None:
        return Reading(time.time())
    return Reading(time.time(), boot, time.clock_gettime(clock))
