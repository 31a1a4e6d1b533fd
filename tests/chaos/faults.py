"""What can happen to an installation: each fault strikes, lasts a while, and is put right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.house import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.chaos.house import House

# Those whom a fault may meet, and what people see of it: a page may fail only while the web server
# or the database is away.
PAGES_NEED = {"web": "web", "database": "database"}
WORKERS = ("teacher", "student", "default")


@dataclass
class Fault:
    """``seconds``: how long it lasts. ``meets``: the process."""

    name: str
    meets: str
    seconds: float
    strike: Callable[[House], None]
    heal: Callable[[House], None]
    excuses: str = field(init=False)

    def __post_init__(self) -> None:
        self.excuses = PAGES_NEED.get(self.meets, "")


def killed(who: str, chance: Random) -> Fault:
    """kill -9, and started again after a while, as a supervisor would."""
    return Fault(
        name=f"kill -9 {who}",
        meets=who,
        seconds=chance.uniform(0, LEASE_SECONDS),
        strike=lambda house: house.kill(who),
        heal=lambda house: house.start(who),
    )


def frozen(who: str, chance: Random) -> Fault:
    """SIGSTOP past the lease. For a worker another one takes over, and is then told to stop."""
    other = f"{who} substitute"

    def strike(house: House) -> None:
        house.freeze(who)
        if who in WORKERS:
            house.start(other)

    def heal(house: House) -> None:
        house.thaw(who)
        if who in WORKERS:
            house.terminate(other, seconds=120)

    seconds = LEASE_SECONDS + chance.uniform(1, LEASE_SECONDS)
    return Fault(f"freeze {who}", who, seconds, strike, heal)


def skewed(who: str, chance: Random) -> Fault:
    """A worker whose clock is ten minutes off takes the place of the right one, and is killed."""
    seconds = chance.choice([-600, 600])

    def strike(house: House) -> None:
        house.terminate(who, seconds=120)
        house.start(who, skew=seconds)

    def heal(house: House) -> None:
        house.kill(who)
        house.start(who)

    lasts = 2 * LEASE_SECONDS + chance.uniform(0, LEASE_SECONDS)
    return Fault(f"clock of {who} {seconds:+d} s", who, lasts, strike, heal)


def restarted(who: str, chance: Random) -> Fault:
    """SIGTERM, as when a new version is rolled out. It ends in order and within a lease or so."""

    def strike(house: House) -> None:
        status = house.terminate(who, seconds=60)
        if status:
            house.complaints.append(f"{who} ended with status {status} when told to stop")

    return Fault(
        name=f"restart {who}",
        meets=who,
        seconds=chance.uniform(0, 1),
        strike=strike,
        heal=lambda house: house.start(who),
    )


def disk_full(chance: Random) -> Fault:
    return Fault(
        name="disk full",
        meets="disk",
        seconds=chance.uniform(1, LEASE_SECONDS),
        strike=lambda house: house.fill_disk(),
        heal=lambda house: house.empty_disk(),
    )


KILLED = ("web", "teacher", "student", "default", "beat", "broker", "database", "teacher server")
RESTARTED = ("web", *WORKERS)
FROZEN = ("web", "teacher", "student", "default", "broker", "database", "teacher server")


def plan(count: int, chance: Random, *, with_disk: bool) -> list[Fault]:
    """So many faults in an order of chance. All kinds come before any comes again."""
    faults: list[Fault] = []
    while len(faults) < count:
        kinds = [killed(who, chance) for who in KILLED]
        kinds += [frozen(who, chance) for who in FROZEN]
        kinds += [restarted(who, chance) for who in RESTARTED]
        kinds += [skewed(who, chance) for who in WORKERS]
        kinds += [disk_full(chance)] if with_disk else []
        chance.shuffle(kinds)
        faults += kinds
    return faults[:count]
