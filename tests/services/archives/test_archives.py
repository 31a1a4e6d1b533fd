"""A project's archive: the same bytes wherever the project lies, read whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from refinement.method.pairs import Pair
from refinement.models import (
    BulkAct,
    Candidate,
    Dataset,
    Embedding,
    Endpoint,
    Export,
    GivenRewrite,
    KeptRecord,
    Project,
    RejectedRow,
    Run,
    RunSample,
    Score,
    Trial,
    TrialCall,
    User,
)
from refinement.selectors.queue import QueueFilter, queue_counts
from refinement.services.archives import ArchiveError, export_project, import_project
from refinement.services.archives.tables import TABLES
from refinement.services.assignments import assign
from refinement.services.bulk_acts import perform, restore_run, start_act, undo_act
from refinement.services.decisions import add_comment, record_decision, undo_decision
from refinement.services.dispatch import delivered_to
from refinement.services.flags import toggle_flag
from refinement.services.opinions import give_opinion
from refinement.services.review_plans import set_plan
from refinement.services.saved_views import save_view
from tests.environment import REPOSITORY
from tests.review_room import Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.django_db(transaction=True)  # an export reads with its own connection

HOSTILE = 'a\u202eb <script>"\\ \U0001f9c2 \x1b[31m\r\n'


@pytest.fixture
def room() -> Iterator[Room]:
    """A project in which everything has happened that a project can hold."""
    with delivered_to(lambda *_: None):
        make_room("A neighbour, so that ids and places differ").fill(3)
        room = make_room("Salt & tides")
        room.fill(6)
        room.add(kept=False)
        room.add(state="failed", error="refused")
        fill_dataset(room)
        decide(room)
        act_in_bulk(room)
        try_teacher(room)
        under_way(room)
    return room


def fill_dataset(room: Room) -> None:
    dataset, rest = room.run.dataset, {"position": 50, "line": 51}
    dataset.file.save("tips.jsonl", ContentFile(b'{"instruction": "x"}\n' * 9))
    dataset.profile = {"lengths": [1, 2.5, 1e-7], "b": 1, "a": {"z": 1, "y": None}}
    dataset.save()
    sample = room.pairs[0].sample
    sample.extra, sample.instruction = {"z": 1e5, "a": [1.0, None]}, HOSTILE
    sample.save()
    KeptRecord.objects.create(dataset=dataset, reason="no text", record={"b": 1, "a": 2}, **rest)
    GivenRewrite.objects.create(
        dataset=dataset, position=1, kind="instruction", instruction="i", response="r"
    )
    RejectedRow.objects.create(dataset=dataset, line=3, reason="no JSON", excerpt=HOSTILE)
    Score.objects.filter(run_sample=room.pairs[0]).update(
        token_losses=b"\x00\\\n\xff", rsr=0.1 + 0.2
    )
    score = Score.objects.filter(run_sample=room.pairs[0])[0]
    Embedding.objects.create(score=score, encoder="/models/e", vector=bytes(range(256)))
    Dataset.objects.create(
        project=room.project, name="Round two", filename="", source_run=room.run, status="ready"
    )


def decide(room: Room) -> None:
    first, second, third = room.pairs[:3]
    record_decision(run_sample=first, user=room.reviewer, action="accept")
    edit = Pair(instruction="Why salt?", response=HOSTILE)
    record_decision(run_sample=first, user=room.owner, action="edit", edit=edit)
    record_decision(run_sample=second, user=room.reviewer, action="drop")
    undo_decision(run_sample=second, user=room.owner)
    candidate = Candidate.objects.filter(run_sample=third).last()
    record_decision(run_sample=third, user=room.reviewer, action="candidate", candidate=candidate)
    add_comment(run_sample=first, user=room.reviewer, text=HOSTILE.strip())
    toggle_flag(run_sample=second, user=room.owner)
    set_plan(run=room.run, reviewers_per_pair=2, blind=True, seed=7, by=room.owner)
    give_opinion(run_sample=room.pairs[3], user=room.reviewer, action="accept")
    assign(run=room.run, pairs=[room.pairs[4].pk], user=room.reviewer, by=room.owner)
    save_view(project=room.project, user=room.owner, name="Close calls", query={"show": "kept"})


def act_in_bulk(room: Room) -> None:
    def begin(action: str, **more: Any) -> BulkAct:
        expected = queue_counts(room.run).of(QueueFilter().show)
        act = start_act(
            run=room.run,
            user=room.owner,
            action=action,
            queue=QueueFilter(),
            expected=expected,
            **more,
        )
        perform(act_id=act.pk)
        return act

    begin("assign", assignee=room.reviewer)
    dropped = begin("drop")
    through = dropped.items.first().decision
    assert through is not None
    perform(act_id=restore_run(run=room.run, user=room.owner, through=through).pk)


def try_teacher(room: Room) -> None:
    trial = Trial.objects.create(
        project=room.project,
        dataset=room.run.dataset,
        teacher=room.run.teacher,
        status="done",
        positions=[0, 1],
        outcomes=[{"b": 1, "a": 2}],
        created_by=room.owner,
    )
    TrialCall.objects.create(
        trial=trial, position=0, step="s", request_hash="h", model="m", cost="0.12345678"
    )


def under_way(room: Room) -> None:
    """A worker holds a pair, and an export is asked for: neither belongs into an archive."""
    RunSample.objects.filter(pk=room.pairs[-1].pk).update(
        state="leased", lease_token="t", lease_expires_at=timezone.now(), reserved_tokens=5
    )
    Export.objects.create(run=room.run, created_by=room.owner)


def archive_of(project: Project, folder: Path, name: str = "a.zip") -> Path:
    export_project(project, folder / name)
    return folder / name


def test_read_and_written_again_it_has_the_same_bytes(room: Room, tmp_path: Path) -> None:
    first = archive_of(room.project, tmp_path)

    again = import_project(first)

    assert archive_of(again, tmp_path, "b.zip").read_bytes() == first.read_bytes()
    assert again.pk != room.project.pk
    own = {m.user.username: m.role for m in again.memberships.select_related("user")}
    assert own[room.owner.username] == "owner"
    assert again.datasets.get(name="Tips").file.read() == room.run.dataset.file.read()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_every_table_of_the_archive_is_put_to_the_test(room: Room, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive_of(room.project, tmp_path)) as archive:
        tables = json.loads(archive.read("manifest.json"))["tables"]

    assert {table["name"] for table in tables if not table["rows"]} <= {"policychange"}


def test_the_queue_and_its_acts_work_on_where_it_was_read(room: Room, tmp_path: Path) -> None:
    again = import_project(archive_of(room.project, tmp_path))
    run = again.runs.get()

    RunSample.objects.filter(pk=room.pairs[-1].pk).update(
        state="ready", lease_token="", lease_expires_at=None
    )
    assert queue_counts(run) == queue_counts(room.run)
    assert run.status == Run.Status.PAUSED
    dropped = BulkAct.objects.get(run=run, action="drop")
    with delivered_to(lambda *_: None):
        undo_act(act=dropped, user=room.owner)
    perform(act_id=dropped.pk)
    dropped.refresh_from_db()
    assert dropped.status == "undone"


def test_a_newer_id_is_given_to_what_comes_next(room: Room, tmp_path: Path) -> None:
    again = import_project(archive_of(room.project, tmp_path))

    pair = again.runs.get().run_samples.first()
    assert pair is not None
    comment = add_comment(run_sample=pair, user=room.owner, text="after the import")
    assert comment.pk == pair.comments.order_by("pk").last().pk


def test_who_and_what_is_missing_is_made(room: Room, tmp_path: Path) -> None:
    path = archive_of(room.project, tmp_path)
    User.objects.filter(pk=room.reviewer.pk).update(username="renamed")
    Endpoint.objects.update(base_url="http://127.0.0.1:10/v1")

    again = import_project(path)

    user = User.objects.get(username=room.reviewer.username)
    assert not user.is_active
    assert not user.has_usable_password()
    assert again.runs.get().teacher.name == "House teacher (2)"
    assert again.runs.get().student == room.run.student


# -- Archives that are none ------------------------------------------------------------------------
def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The same archive with other contents; ``None`` leaves an entry out."""
    other = path.with_name("other.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as copy:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                copy.writestr(name, content)
    return other


def in_manifest(**changes: Any) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        manifest = json.loads(content) | changes if name == "manifest.json" else None
        return json.dumps(manifest).encode() if manifest else content

    return change


def in_row(table: str, column: str, value: Any) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if name != f"{table}.jsonl":
            return content
        [fields] = [found.fields for found in TABLES if found.name == table]
        lines = content.splitlines()
        row = json.loads(lines[0])
        row[[field.name for field in fields].index(column)] = value
        return b"\n".join([json.dumps(row).encode(), *lines[1:]]) + b"\n"

    return change


def without(entry: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, content: None if name == entry else content


def cut(entry: str) -> Callable[[str, bytes], bytes]:
    return lambda name, content: content[: len(content) // 2] if name == entry else content


WRONG: list[tuple[Callable[[str, bytes], bytes | None], str]] = [
    (without("manifest.json"), "is no archive of a project"),
    (in_manifest(format="holiday"), "is no archive of a project"),
    (in_manifest(version=99), "from a newer version of srt-web"),
    (in_manifest(tables=[]), "must hold one project"),
    (in_manifest(tables=[{"name": "spell", "columns": ["x"], "rows": 1}]), "newer version"),
    (without("score.jsonl"), "lacks its part score.jsonl"),
    (without("files/0"), "lacks its part files/0"),
    (cut("candidate.jsonl"), "candidate"),
    (in_row("decision", "run_sample", 999), "refers to runsample 999, which is not in the archive"),
    (in_row("decision", "run_sample", "first"), "Row 1 of decision"),
    (in_row("decision", "user", None), "user is missing"),
    (in_row("decision", "action", "explode"), 'action is "explode"'),
    (in_row("run", "name", "x" * 300), "longer than 200 characters"),
    (in_row("runsample", "sample", -1), "runsample"),
    (lambda name, content: content * 2 if name == "verdict.jsonl" else content, "verdict"),
    (lambda name, content: b"[" * 100_000 if name == "run.jsonl" else content, "Row 1 of run"),
]


def test_a_wrong_archive_is_refused_in_a_sentence_and_leaves_nothing(
    room: Room, tmp_path: Path
) -> None:
    whole = archive_of(room.project, tmp_path)
    projects, users = Project.objects.count(), User.objects.count()
    storage = room.run.dataset.file.storage
    folder = os.path.dirname(room.run.dataset.file.name)  # noqa: PTH120 - a name in a storage
    files = storage.listdir(folder)

    for change, sentence in WRONG:
        with pytest.raises(ArchiveError, match=sentence) as caught:
            import_project(rewritten(whole, change))
        assert "\n" not in str(caught.value)

    assert (Project.objects.count(), User.objects.count()) == (projects, users)
    assert storage.listdir(folder) == files


def test_a_file_that_is_cut_off_or_flipped_is_refused(room: Room, tmp_path: Path) -> None:
    whole = archive_of(room.project, tmp_path).read_bytes()
    damaged = {
        "empty": b"",
        "text": b"Dear sir",
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:3000] + bytes([whole[3000] ^ 255]) + whole[3001:],
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match=r"archive|damaged"):
            import_project(path)
    with pytest.raises(CommandError, match=r"There is no file .*none.zip. Nothing was imported"):
        call_command("import_project", str(tmp_path / "none.zip"))


# -- Another database ------------------------------------------------------------------------------
@pytest.mark.skipif(connection.vendor == "sqlite", reason="compared where tests run on PostgreSQL")
@pytest.mark.processes
def test_the_other_database_gives_the_same_bytes(room: Room, tmp_path: Path) -> None:
    """From PostgreSQL to SQLite by the commands; the way back begins with the same bytes."""
    first = archive_of(room.project, tmp_path)
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    env = os.environ | {"DATABASE_URL": url, "SRT_DATA_DIR": str(tmp_path / "elsewhere")}

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    manage("migrate", "--verbosity", "0")
    assert manage("import_project", str(first)) == "Project 1: Salt & tides\n"
    manage("export_project", "Salt & tides", "-o", str(tmp_path / "b.zip"))

    assert (tmp_path / "b.zip").read_bytes() == first.read_bytes()
    shutil.rmtree(tmp_path / "elsewhere")
