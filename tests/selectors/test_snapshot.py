"""One view for a long read: nobody waits for it, and it does not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

from refinement.models import Decision, Run, RunSample
from refinement.selectors.selection import effective_pairs
from refinement.selectors.snapshot import snapshot
from refinement.services.decisions import record_decision
from tests.review_room import TIPS_RESPONSE, make_room

if TYPE_CHECKING:
    from refinement.models import User


def drop(row: RunSample, user: User) -> None:
    record_decision(run_sample=row, user=user, action=Decision.Action.DROP)


def kept(run: Run, using: str = "default") -> list[int]:
    return [pair.position for pair in effective_pairs(run, using=using)]


def test_what_changes_meanwhile_is_not_seen(transactional_db: None) -> None:
    room = make_room()
    rows = [room.add(response=TIPS_RESPONSE) for _ in range(3)]
    with snapshot() as using:
        assert kept(room.run, using) == [0, 1, 2]
        drop(rows[1], room.owner)
        assert kept(room.run) == [0, 2]
        assert kept(room.run, using) == [0, 1, 2]
    assert kept(room.run) == [0, 2]


def test_it_leaves_no_connection_behind(transactional_db: None) -> None:
    with snapshot() as using:
        assert Run.objects.using(using).count() == 0
    assert list(connections) == ["default"]
    assert not hasattr(connections._connections, using)
