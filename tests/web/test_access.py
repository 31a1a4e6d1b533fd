"""Every address, asked for by every kind of visitor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from refinement.models import (
    AuditEvent,
    Comment,
    Dataset,
    Decision,
    Export,
    Membership,
    Project,
    Run,
    Trial,
)
from tests.web import doors_table
from tests.web.conftest import WHO, House
from tests.web.conftest import copied_house as house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

__all__ = ["house"]  # a fixture

MEMBERS = {"stranger": 404, "staff": 404, "viewer": 200, "reviewer": 200, "owner": 200}
FROM_REVIEWER = MEMBERS | {"viewer": 403}
FROM_OWNER = FROM_REVIEWER | {"reviewer": 403}
EVERYBODY = dict.fromkeys(WHO, 200)
STAFF = dict.fromkeys(WHO, 403) | {"staff": 200}
LOGIN = 302


@dataclass(frozen=True)
class Door:
    """``expected``: status by visitor; 200 stands for every success, of a POST the redirect."""

    name: str
    expected: dict[str, int]
    of: Callable[[House], list[int]] = field(default=lambda _: [])
    method: str = "get"
    data: Callable[[House], dict[str, Any]] = field(default=lambda _: {})
    public: bool = False


def project(house: House) -> list[int]:
    return [house.room.project.pk]


def run(house: House) -> list[int]:
    return [house.room.run.pk]


def dataset(house: House) -> list[int]:
    return [house.dataset.pk]


def export(house: House) -> list[int]:
    return [house.export.pk]


def pair(house: House) -> list[int]:
    return [house.room.run.pk, house.room.pairs[0].pk]


def member(house: House) -> list[int]:
    return [house.room.project.pk, house.membership("viewer").pk]


def trial(house: House) -> list[int]:
    made = Trial.objects.create(
        project=house.room.project,
        dataset=house.dataset,
        teacher=house.room.run.teacher,
        config={
            "teacher": {"base_url": "http://t/v1", "model": "m"},
            "prompts": {},
            "prompt_version": "1",
        },
    )
    return [made.pk]


def asked_about(house: House) -> dict[str, Any]:
    return {"dataset": house.dataset.pk, "teacher": house.room.run.teacher_id, "pair": 1}


def token(house: House) -> dict[str, Any]:
    return {"token": str(uuid4())}


SHAPE = {"shape": "as_imported", "container": "jsonl"}
HUB = {"repository": "me/pairs", "token_variable": "HF_TOKEN"}
DOORS = [
    Door("home", EVERYBODY),
    Door("account", EVERYBODY),
    Door("tokens", EVERYBODY),
    Door("sign-out-everywhere", EVERYBODY, method="post"),
    Door("theme", EVERYBODY, method="post", public=True),
    Door("language", EVERYBODY, method="post", public=True),
    Door("project-new", EVERYBODY),
    Door("project-new", EVERYBODY, method="post", data=lambda _: {"name": "Another"}),
    Door("project", MEMBERS, project),
    Door("project-rename", FROM_OWNER, project),
    Door("project-rename", FROM_OWNER, project, "post", lambda _: {"name": "Other"}),
    Door("project-members", MEMBERS, project),
    Door(
        "project-members",
        FROM_OWNER,
        project,
        "post",
        lambda house: {"username": house.stranger.username, "role": "viewer"},
    ),
    Door("member-role", FROM_OWNER, member, "post", lambda _: {"role": "reviewer"}),
    Door("member-remove", FROM_OWNER | {"viewer": 200}, member, "post"),
    Door("dataset-upload", FROM_OWNER, project),
    Door("dataset", MEMBERS, dataset),
    Door("dataset-rejected", MEMBERS, dataset),
    Door("dataset-delete", FROM_OWNER, dataset, "post"),
    Door("dataset-prepare", FROM_OWNER, dataset),
    Door("dataset-import", FROM_OWNER, dataset, "post"),
    Door("dataset-stop", FROM_OWNER, dataset, "post"),
    Door("dataset-again", FROM_OWNER, dataset, "post"),
    Door("upload-begin", FROM_OWNER, project, "post", lambda _: {"name": "a", "size": 1}),
    Door("run-new", FROM_OWNER, project),
    Door("run-preview", FROM_OWNER, project, "post", asked_about),
    Door("run-try", FROM_OWNER, project, "post", asked_about),
    Door("trial", FROM_OWNER, trial),
    Door("trial-progress", FROM_OWNER, trial),
    Door("run-budget", FROM_OWNER, run, "post", lambda _: {"budget_tokens": 100_000}),
    Door("run-priority", FROM_OWNER, run, "post", lambda _: {"priority": "high"}),
    Door("run-next-round", FROM_OWNER, run, "post"),
    Door("run", MEMBERS, run),
    Door("run-progress", MEMBERS, run),
    Door("run-failures", MEMBERS, run),
    Door("run-pictures", MEMBERS, run),
    Door("run-what-if", MEMBERS, run),
    Door("run-points", MEMBERS, run),
    Door("run-flips", MEMBERS, run),
    Door("run-policy", FROM_OWNER, run, "post", lambda _: {"policy_name": "paper"}),
    Door("run-pause", FROM_OWNER, run, "post"),
    Door("run-resume", FROM_OWNER, run, "post"),
    Door("run-cancel", FROM_OWNER, run, "post"),
    Door("run-retry", FROM_OWNER, run, "post"),
    Door("review", MEMBERS, run),
    Door("review-pair", MEMBERS, pair),
    Door("decide", FROM_REVIEWER, pair, "post", lambda _: {"action": "drop", "seen": 0}),
    Door("comment", FROM_REVIEWER, pair, "post", lambda _: {"text": "Good."}),
    Door("review-presence", FROM_REVIEWER, pair, "post"),
    Door("review-next", FROM_REVIEWER, pair),
    Door("review-tokens", FROM_REVIEWER, pair, "post"),
    Door("review-people", MEMBERS, run),
    Door("review-plan", FROM_OWNER, run, "post", lambda _: {"reviewers_per_pair": 1, "seed": 1}),
    Door(
        "review-assign",
        FROM_OWNER,
        run,
        "post",
        lambda house: {"people": [house.user("reviewer").pk]},
    ),
    Door(
        "review-unassign", FROM_OWNER, run, "post", lambda house: {"user": house.user("owner").pk}
    ),
    Door("flag", FROM_REVIEWER, pair, "post"),
    Door("bulk", FROM_REVIEWER, run),
    Door("bulk", FROM_REVIEWER, run, "post", lambda _: {"action": "drop", "expected": 1}),
    Door("run-history", MEMBERS, run),
    Door("run-acts", MEMBERS, run),
    Door("history-jsonl", MEMBERS, run),
    Door("history-csv", MEMBERS, run),
    Door("view-save", FROM_REVIEWER, run, "post", lambda _: {"name": "Mine"}),
    Door("exports", MEMBERS, run),
    Door("export-count", MEMBERS, run),
    Door("dataset-exports", MEMBERS, dataset),
    Door("dataset-export-count", MEMBERS, dataset),
    Door("export-new", FROM_OWNER, run, "post", lambda h: token(h) | SHAPE | {"include": "kept"}),
    Door("dataset-export-new", FROM_OWNER, dataset, "post", lambda h: token(h) | SHAPE),
    Door("export-all", MEMBERS, export),
    Door("export-file", MEMBERS, lambda house: [house.export.pk, "train.jsonl"]),
    Door("export-link", FROM_OWNER, export, "post", lambda _: {"days": 1}),
    Door("export-push", FROM_OWNER, export, "post", lambda h: token(h) | HUB),
    Door("export-cancel", FROM_OWNER, export, "post"),
    Door("export-delete", FROM_OWNER, export, "post"),
    Door("export-download", MEMBERS, export),
    Door("export-manifest", MEMBERS, export),
    Door("export-manifest-file", MEMBERS, export),
    Door("audit", STAFF),
    Door("status", STAFF),
    Door("project-audit", FROM_OWNER, project),
    Door("endpoints", STAFF),
    Door("endpoint-new", STAFF),
    Door("students", STAFF),
    Door("student-new", STAFF),
]
# A run that runs is not resumed, nor a dataset imported twice; that a pair is open is no change.
UNCHANGED = {
    "run-resume",
    "review-presence",
    "language",
    "dataset-import",
    "dataset-stop",
    "dataset-again",
    "upload-begin",
}
ELSEWHERE = {  # tested where their own subject is
    "login": "test_accounts.py",
    "logout": "test_accounts.py",
    "oidc": "test_oidc.py",
    "oidc-callback": "test_oidc.py",
    "token-revoke": "test_tokens.py",
    "undo": "test_review.py",
    "dataset-server-folder": "test_server_folder.py",
    "upload": "test_chunks.py",
    "upload-drop": "test_chunks.py",
    "withdraw": "test_review_people.py",
    "bulk-undo": "test_bulk_acts.py",
    "run-restore": "test_bulk_acts.py",
    "view-delete": "test_bulk_acts.py",
    "metrics": "test_status.py",
    "healthz": "test_health.py",
    "readyz": "test_health.py",
    "export-link-file": "test_exports.py",
    "export-link-named": "test_exports.py",
}


def names() -> Iterator[str]:
    def walk(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                if pattern.app_name != "api":  # tests/api/test_access.py
                    yield from walk(pattern.url_patterns)
            elif pattern.name:
                yield pattern.name

    return walk(get_resolver().url_patterns)


def test_no_address_is_forgotten_here() -> None:
    assert set(names()) - {door.name for door in DOORS} - set(ELSEWHERE) == set()


def knock(door: Door, house: House, client: Client) -> int:
    url = reverse(door.name, args=door.of(house))
    response = getattr(client, door.method)(url, door.data(house))
    assert "/login" not in response.headers.get("Location", ""), "sent to the login page"
    return 200 if response.status_code == 302 else response.status_code


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.method} {door.name}")
def test_who_may_enter(door: Door, house: House) -> None:
    for who in WHO:
        if who != "anonymous":
            with transaction.atomic():
                assert knock(door, house, house.visitor(who)) == door.expected[who], who
                transaction.set_rollback(True)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.method} {door.name}")
def test_who_is_not_signed_in_is_asked_to(door: Door, house: House) -> None:
    url = reverse(door.name, args=door.of(house))
    response = getattr(house.visitor("anonymous"), door.method)(url, door.data(house))
    assert response.status_code == LOGIN
    assert response.headers["Location"].startswith("/login") != door.public


@pytest.mark.parametrize("door", [d for d in DOORS if d.method == "post"], ids=lambda d: d.name)
def test_whatever_is_done_is_in_the_audit_log(door: Door, house: House) -> None:
    who = "staff" if door.expected is STAFF else "owner"
    if door.name == "run-retry":
        house.room.run.run_samples.filter(state="failed").update(error_reason="empty")
    if knock(door, house, house.visitor(who)) == 200 and door.name not in {"theme", *UNCHANGED}:
        event = AuditEvent.objects.first()
        assert event is not None
        assert event.who == house.user(who).username
        assert event.kind in {"changed", "administered", "exported"}


def counts() -> list[object]:
    models = (Project, Membership, Dataset, Export, Decision, Comment)
    state = [Run.objects.values_list("status", flat=True).first(), Project.objects.first()]
    return [*state, *(model.objects.count() for model in models)]


@pytest.mark.parametrize("door", [d for d in DOORS if d.method == "post"], ids=lambda d: d.name)
def test_nothing_changes_by_following_a_link(door: Door, house: House) -> None:
    """A GET of what changes something is refused, or only shows a page."""
    before = counts()
    response = house.visitor("owner").get(reverse(door.name, args=door.of(house)))
    pages = {d.name for d in DOORS if d.method == "get"}
    pages |= {"decide", "comment", "review-tokens"}  # who signs in in between is led back
    assert (response.status_code == 405) == (door.name not in pages)
    assert counts() == before


@pytest.mark.parametrize(
    "name",
    ["project", "dataset", "run", "run-progress", "run-failures", "exports", "export-download"],
)
def test_what_does_not_exist_looks_like_what_is_not_yours(name: str, house: House) -> None:
    missing = house.visitor("owner").get(reverse(name, args=[99999]))
    foreign_id = {"project": project, "dataset": dataset, "export-download": export}.get(name, run)
    foreign = house.visitor("stranger").get(reverse(name, args=foreign_id(house)))
    assert missing.status_code == foreign.status_code == 404
    assert "There is nothing here for you" in missing.content.decode()
    assert house.room.project.name not in foreign.content.decode()


def test_a_role_that_is_too_small_is_told_what_it_needs(house: House) -> None:
    response = house.visitor("viewer").post(reverse("run-pause", args=run(house)))
    text = response.content.decode()
    assert response.status_code == 403
    assert "This needs the role of owner in “Cooking”; yours is viewer." in text


def test_the_table_of_the_docs_is_what_was_tried() -> None:
    refresh = "refresh it: .venv/bin/python -m tests.web.doors_table"
    assert doors_table.written() == doors_table.table(), refresh
