"""Every operation, asked for by every kind of caller; and the table of docs/security.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from refinement.api.app import api
from refinement.models import AuditEvent, BulkAct, Push, SavedView, Trial, Webhook
from refinement.services.chunks import begin_upload
from refinement.services.tokens import make_token, revoke_token
from tests.api.conftest import Caller, caller
from tests.web.conftest import copied_house as house
from tests.web.conftest import kept_house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.web.conftest import House

__all__ = ["house", "kept_house"]  # fixtures

WHO = ("stranger", "viewer", "reviewer", "owner", "staff")
MEMBERS = {"stranger": 404, "viewer": 200, "reviewer": 200, "owner": 200, "staff": 404}
REVIEWERS = MEMBERS | {"viewer": 403}
OWNERS = REVIEWERS | {"reviewer": 403}
EVERYBODY = dict.fromkeys(WHO, 200)
THEIRS = dict.fromkeys(WHO, 404) | {"owner": 200}  # of who began it
STAFF = dict.fromkeys(WHO, 403) | {"staff": 200}


@dataclass(frozen=True)
class Call:
    """``expected``: status by caller; 200 stands for every success and for what a service refuses
    (409, 422): the door was open."""

    method: str
    path: str
    expected: dict[str, int]
    body: Callable[[House], dict[str, Any]] | None = field(default=None)


P, D, R, E = (
    "/projects/{project_id}",
    "/datasets/{dataset_id}",
    "/runs/{run_id}",
    "/exports/{export_id}",
)
ACT, VIEW = R + "/acts/{act_id}", P + "/views/{view_id}"
UPLOAD = "/uploads/{upload_id}"
UNDECIDED = {"show": "undecided"}
PAIR, HOOK = R + "/pairs/{pair_id}", "/webhooks/{webhook_id}"
TEACHER = {"name": "T", "base_url": "https://203.0.113.9/v1", "model": "m"}
HOOKED = {"url": "https://203.0.113.9/hook", "events": ["run.finished"]}

CALLS = [
    Call("get", "/me", EVERYBODY),
    Call("get", "/me/tokens", EVERYBODY),
    Call("delete", "/me/tokens/{token_id}", THEIRS),
    Call("get", "/status", STAFF),
    Call("get", "/teachers", EVERYBODY),
    Call(
        "post",
        "/teachers",
        STAFF,
        lambda _: {"name": "T", "base_url": "https://203.0.113.9/v1", "model": "m"},
    ),
    Call("get", "/students", EVERYBODY),
    Call("post", "/students", STAFF, lambda _: {"name": "S", "path": "/nowhere"}),
    Call("get", "/audit", STAFF),
    Call("get", "/projects", EVERYBODY),
    Call("post", "/projects", EVERYBODY, lambda _: {"name": "Another"}),
    Call("get", P, MEMBERS),
    Call("patch", P, OWNERS, lambda _: {"name": "Other"}),
    Call("get", P + "/members", MEMBERS),
    Call(
        "post",
        P + "/members",
        OWNERS,
        lambda house: {"username": house.staff.username, "role": "viewer"},
    ),
    Call("patch", P + "/members/{member_id}", OWNERS, lambda _: {"role": "reviewer"}),
    Call("delete", P + "/members/{member_id}", OWNERS | {"viewer": 200}),
    Call("get", P + "/webhooks", OWNERS),
    Call("post", P + "/webhooks", OWNERS, lambda _: HOOKED),
    Call("delete", HOOK, OWNERS),
    Call("get", HOOK + "/deliveries", OWNERS),
    Call("get", P + "/audit", OWNERS),
    Call("get", P + "/datasets", MEMBERS),
    Call("post", P + "/datasets", OWNERS, lambda _: {"instruction": "Hello?", "output": "Hello."}),
    Call("get", D, MEMBERS),
    Call("delete", D, OWNERS),
    Call("get", D + "/samples", MEMBERS),
    Call("get", D + "/kept", MEMBERS),
    Call("get", D + "/look", OWNERS),
    Call("post", D + "/import", OWNERS, lambda _: {"duplicates": "exact"}),
    Call("post", D + "/stop", OWNERS),
    Call("post", D + "/reopen", OWNERS),
    Call("post", P + "/uploads", OWNERS, lambda _: {"filename": "a.jsonl", "size": 2}),
    Call("get", UPLOAD, THEIRS),
    Call("put", UPLOAD + "?offset=0", THEIRS, lambda _: {}),
    Call("post", UPLOAD + "/finish", THEIRS, lambda _: {}),
    Call("delete", UPLOAD, THEIRS),
    Call("get", P + "/server-folder", OWNERS | {"owner": 403}),
    Call("post", P + "/server-folder", OWNERS | {"owner": 403}, lambda _: {"path": "a.jsonl"}),
    Call("get", D + "/rejected", MEMBERS),
    Call("get", D + "/rejected.jsonl", MEMBERS),
    Call("get", "/prompts", EVERYBODY),
    Call("post", P + "/trials/preview", OWNERS, lambda house: {"dataset": house.dataset.pk}),
    Call("post", P + "/trials", OWNERS, lambda house: {"dataset": house.dataset.pk}),
    Call("get", "/trials/{trial_id}", OWNERS),
    Call("get", P + "/runs", MEMBERS),
    Call("post", P + "/runs", OWNERS, lambda house: {"dataset": house.dataset.pk}),
    Call("get", R, MEMBERS),
    Call("get", R + "/events", MEMBERS),
    Call("get", R + "/failures", MEMBERS),
    Call("post", R + "/pause", OWNERS),
    Call("post", R + "/resume", OWNERS),
    Call("post", R + "/cancel", OWNERS),
    Call("post", R + "/priority", OWNERS, lambda _: {"priority": "high"}),
    Call("post", R + "/retry", OWNERS, lambda _: {}),
    Call("post", R + "/budget", OWNERS, lambda _: {"tokens": 100_000, "cost": None}),
    Call("post", R + "/next-round", OWNERS),
    Call("get", R + "/pairs", MEMBERS),
    Call("get", PAIR, MEMBERS),
    Call("get", PAIR + "/tokens", MEMBERS),
    Call("post", PAIR + "/tokens", REVIEWERS),
    Call("post", PAIR + "/decisions", REVIEWERS, lambda _: {"action": "drop", "seen": 0}),
    Call("post", PAIR + "/undo", REVIEWERS, lambda _: {}),
    Call("get", PAIR + "/comments", MEMBERS),
    Call("post", PAIR + "/comments", REVIEWERS, lambda _: {"text": "Good."}),
    Call("post", PAIR + "/flag", REVIEWERS, lambda _: {"flagged": True}),
    Call("get", P + "/views", MEMBERS),
    Call("post", P + "/views", REVIEWERS, lambda _: {"name": "Mine", "filter": UNDECIDED}),
    Call("delete", VIEW, REVIEWERS),
    Call("get", R + "/acts/preview", REVIEWERS),
    Call("get", R + "/acts", MEMBERS),
    Call(
        "post",
        R + "/acts",
        REVIEWERS,
        lambda _: {"action": "drop", "filter": UNDECIDED, "expected": 1},
    ),
    Call("get", ACT, MEMBERS),
    Call("post", ACT + "/undo", OWNERS),
    Call("get", R + "/history", MEMBERS),
    Call("get", R + "/history.jsonl", MEMBERS),
    Call("get", R + "/history.csv", MEMBERS),
    Call("post", R + "/restore", OWNERS, lambda _: {"decision": 1}),
    Call("get", R + "/plan", MEMBERS),
    Call("post", R + "/plan", OWNERS, lambda _: {"reviewers_per_pair": 2}),
    Call("get", R + "/people", MEMBERS),
    Call(
        "post",
        R + "/assignments",
        OWNERS,
        lambda house: {"people": [house.user("reviewer").username]},
    ),
    Call("post", R + "/assignments/take-back", OWNERS, lambda _: {"username": "nobody"}),
    Call("get", R + "/agreement", MEMBERS),
    Call("get", R + "/disputes", OWNERS),
    Call("post", R + "/next", REVIEWERS, lambda _: {}),
    Call("get", PAIR + "/opinions", MEMBERS),
    Call("post", PAIR + "/opinions/withdraw", REVIEWERS),
    Call("get", R + "/policy", MEMBERS),
    Call("post", R + "/policy", OWNERS, lambda _: {"max_ifd": 0.5}),
    Call("get", R + "/policy/changes", MEMBERS),
    Call("get", R + "/policy/what-if", MEMBERS),
    Call("get", R + "/policy/compare", MEMBERS),
    Call("get", R + "/figures", MEMBERS),
    Call("get", R + "/points", MEMBERS),
    Call("get", R + "/exports", MEMBERS),
    Call("post", R + "/exports", OWNERS, lambda _: {"include": "kept"}),
    Call("get", R + "/exports/preview", MEMBERS),
    Call("get", R + "/selection", MEMBERS),
    Call("get", D + "/exports", MEMBERS),
    Call("get", D + "/exports/preview", MEMBERS),
    Call("post", D + "/exports", OWNERS, lambda _: {"shape": "messages"}),
    Call("get", E, MEMBERS),
    Call("post", E + "/cancel", OWNERS),
    Call("delete", E, OWNERS),
    Call("get", E + "/files", MEMBERS),
    Call("get", E + "/files/{name}", MEMBERS),
    Call("get", E + "/all.zip", MEMBERS),
    Call("post", E + "/link", OWNERS, lambda _: {"days": 1}),
    Call("get", E + "/pushes", MEMBERS),
    Call("post", E + "/pushes", OWNERS, lambda _: {"repository": "me/pairs"}),
    Call("get", E + "/pushes/{push_id}", MEMBERS),
    Call("get", E + "/file", MEMBERS),
    Call("get", E + "/manifest", MEMBERS),
]


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method in methods:
            yield method, path.removeprefix("/api/v1")


def test_no_operation_is_forgotten_here() -> None:
    assert sorted(operations()) == sorted(
        (call.method, call.path.partition("?")[0]) for call in CALLS
    )


@pytest.fixture
def place(house: House) -> Callable[[Call], str]:
    """The address of a call in the house, whose run has ended: watching it ends at once."""
    house.room.run.status = "complete"
    house.room.run.save()
    hook = Webhook.objects.create(
        project=house.room.project, url="https://203.0.113.9/", events=["run.finished"], salt="s"
    )
    act = BulkAct.objects.create(
        run=house.room.run, user=house.room.owner, action="drop", expected=1, status="done"
    )
    view = SavedView.objects.create(project=house.room.project, name="Open")
    upload = begin_upload(
        project=house.room.project, user=house.room.owner, filename="b.jsonl", size_bytes=2
    )
    push = Push.objects.create(
        export=house.export, repository="me/pairs", token_variable="HF_TOKEN"
    )
    token, _ = make_token(user=house.room.owner, name="Old", scopes=["read"])
    trial = Trial.objects.create(
        project=house.room.project,
        dataset=house.dataset,
        teacher=house.room.run.teacher,
        config={"teacher": {"base_url": "http://t/v1", "model": "m"}, "prompts": {}},
    )
    ids = {
        "trial_id": trial.pk,
        "name": "train.jsonl",
        "push_id": push.pk,
        "token_id": token.pk,
        "upload_id": upload.pk,
        "act_id": act.pk,
        "view_id": view.pk,
        "project_id": house.room.project.pk,
        "dataset_id": house.dataset.pk,
        "run_id": house.room.run.pk,
        "pair_id": house.room.pairs[0].pk,
        "export_id": house.export.pk,
        "member_id": house.membership("viewer").pk,
        "webhook_id": hook.pk,
    }
    return lambda call: call.path.format(**ids)


def knock(call: Call, house: House, place: Callable[[Call], str], as_: Caller) -> int:
    body = call.body(house) if call.body else None
    answer = as_(call.method, place(call), body)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    if answer.streaming:
        b"".join(answer.streaming_content)  # type: ignore[attr-defined,arg-type]
    return 200 if answer.status_code in {200, 201, 202, 204, 409, 422} else answer.status_code


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_who_may_call(call: Call, house: House, place: Callable[[Call], str]) -> None:
    for who in reversed(WHO):  # owners last: what they do may end what the others look for
        if who != "owner":
            assert knock(call, house, place, caller(house.user(who))) == call.expected[who], who
    assert knock(call, house, place, caller(None)) == 401
    elsewhere = caller(house.room.owner, project=house.stranger.projects.first())
    if "{" in call.path:
        assert knock(call, house, place, elsewhere) == 404
    limited = caller(house.room.owner, project=house.room.project)
    gone = {404} if call.method == "delete" else set()  # what the viewer may end is ended by now
    wider = {403} if call.path == "/projects" else set()
    assert knock(call, house, place, limited) in {call.expected["owner"], *gone, *wider}


def test_a_scope_opens_its_own_operations_alone(house: House, place: Any) -> None:
    read = caller(house.room.owner, scopes=["read"])
    for call in CALLS:
        status = knock(call, house, place, read)
        assert (status == 403) == (call.method != "get" or call.expected["owner"] == 403), call


def test_a_token_that_ended_opens_nothing(house: House) -> None:
    owner = caller(house.room.owner)
    token = house.room.owner.api_tokens.get()
    assert owner("get", "/me").status_code == 200
    revoke_token(token=token)
    revoke_token(token=token)
    assert owner("get", "/me").status_code == 401
    assert AuditEvent.objects.filter(action="token.revoked").count() == 1
    for change in ({"is_active": False}, {"is_active": True}):
        again = caller(house.room.owner)
        type(house.room.owner).objects.filter(pk=house.room.owner.pk).update(**change)
        assert (again("get", "/me").status_code == 200) == change["is_active"]


def test_a_session_opens_no_operation(house: House) -> None:
    answer = house.visitor("owner").get("/api/v1/me")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
