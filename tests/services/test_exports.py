"""Exports: what is in the file, what the manifest says, and what a killed writer leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets as hf_datasets
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from refinement.method.pairs import Pair
from refinement.method.specs import PolicySpec, StudentSpec, TeacherSpec
from refinement.models import Export, Run, RunSample, Sample, Score
from refinement.services.datasets import create_dataset, import_dataset
from refinement.services.decisions import record_decision
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.exports import (
    create_export,
    export_to_folder,
    write_export,
)
from tests.formats.test_alpaca import RECORDS, exact
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import SettingsWrapper

REPOSITORY = Path(__file__).resolve().parents[2]
Status = Export.Status
ALL = ["scores", "verdict", "decision", "lineage"]


@pytest.fixture
def files(tmp_path: Path, settings: SettingsWrapper) -> Path:
    settings.MEDIA_ROOT = tmp_path / "files"
    return tmp_path / "files"


@pytest.fixture
def woken() -> Iterator[list[tuple[str, int]]]:
    """The wakes sent; nobody answers them."""
    sent: list[tuple[str, int]] = []
    with delivered_to(lambda task, object_id: sent.append((task, object_id))):
        yield sent


@pytest.fixture
def room(transactional_db: None, woken: object) -> Room:
    """A run with one pair of every fate."""
    room = make_room()
    room.run.dataset.sha256 = "d" * 64
    room.run.dataset.save()
    room.run.student_fingerprint = "f" * 64
    room.run.config = {
        "teacher": TeacherSpec(
            base_url="https://user:s3cret@llm.example:8443/v1", model="house-teacher"
        ).as_dict(),
        "student": StudentSpec(path="/models/house-student", template="alpaca").as_dict(),
        "policy": PolicySpec(max_ifd=None).as_dict(),
        "prompt_version": "7",
    }
    room.run.save()
    return room


def fill(room: Room) -> dict[str, RunSample]:
    """Pairs by what becomes of them."""
    rows = {
        "response": room.add(response=TIPS_RESPONSE),
        "instruction": room.add(instruction=TIPS_INSTRUCTION),
        "not_accepted": room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.9), kept=False),
        "failed": room.add(state=RunSample.State.FAILED, error="The teacher refused."),
        "open": room.add(state=RunSample.State.READY),
        "original": room.add(response=TIPS_RESPONSE),
        "edit": room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.9), kept=False),
        "drop": room.add(response=TIPS_RESPONSE),
        "accept": room.add(response=TIPS_RESPONSE),
    }
    for action in ("original", "drop", "accept"):
        record_decision(run_sample=rows[action], user=room.reviewer, action=action)
    record_decision(
        run_sample=rows["edit"],
        user=room.reviewer,
        action="edit",
        edit=Pair("Edited \u2028 question", "Edited answer", "Edited input"),
    )
    return rows


def export(room: Room, **options: Any) -> tuple[Export, list[dict[str, Any]]]:
    made = create_export(run=room.run, user=room.owner, options=options)
    write_export(export_id=made.pk)
    made.refresh_from_db()
    assert (made.status, made.error) == (Status.READY, "")
    text = Path(made.file.path).read_text("utf-8")
    return made, [json.loads(line) for line in text.split("\n")[:-1]]


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# -- The file -------------------------------------------------------------------------------------
def test_the_kept_pairs_leave_in_order(room: Room, files: Path) -> None:
    fill(room)
    made, records = export(room)
    assert records == [
        {"instruction": pair.instruction, "input": pair.input, "output": pair.response}
        for pair in (
            TIPS_RESPONSE,
            TIPS_INSTRUCTION,
            TIPS,
            Pair("Edited \u2028 question", "Edited answer", "Edited input"),
            TIPS_RESPONSE,
        )
    ]
    content = Path(made.file.path).read_bytes()
    assert made.row_count == len(content.decode().splitlines()) == 5
    assert made.sha256 == hashlib.sha256(content).hexdigest()
    assert made.lease_expires_at is None
    assert {path.name for path in stored(files)} == {
        "train.jsonl",
        "manifest.json",
        "README.md",
        "dataset_info.json",
    }
    assert {path.parent for path in stored(files)} == {Path(made.file.path).parent}


def test_the_same_decisions_give_the_same_bytes(room: Room, files: Path) -> None:
    rows = fill(room)
    first, _ = export(room, columns=ALL)
    again, _ = export(room, columns=ALL)
    assert first.sha256 == again.sha256
    record_decision(run_sample=rows["accept"], user=room.owner, action="drop")
    changed, _ = export(room, columns=ALL)
    assert changed.sha256 != first.sha256


def test_all_of_them_may_leave_with_scores(room: Room, files: Path) -> None:
    fill(room)
    made, records = export(room, include="all", columns=ALL)
    assert len(records) == 9
    assert made.row_count == 9
    reviewer = room.reviewer.get_username()
    response, _, dropped, failed, _, _, edit, _, accept = (record["srt"] for record in records)
    assert response == {
        "kept": True,
        "reason": "",
        "verdict": "Kept: the rewritten response was accepted and both ratios are below 1.",
        "by": "verdict",
        "decision": "",
        "ifd_before": 0.62,
        "ifd_after": 0.71,
        "r_ifd_before": 0.70,
        "r_ifd_after": 0.52,
        "source": "response",
        "run": room.run.pk,
        "pair": 1,
        "line": 1,
        "content_hash": hashlib.sha256(b"0").hexdigest(),
    }
    assert (dropped["kept"], dropped["source"]) == (False, "original")
    assert (failed["kept"], failed["by"], failed["verdict"]) == (False, "", "")
    assert (edit["kept"], edit["by"], edit["decision"]) == (True, reviewer, "edit")
    assert (edit["ifd_before"], edit["ifd_after"]) == (0.62, None)
    assert (accept["by"], accept["decision"]) == (reviewer, "accept")


def test_scores_of_an_earlier_round_are_replaced_in_place(room: Room, files: Path) -> None:
    room.add(response=TIPS_RESPONSE)
    add_extras(room, [{"srt": {"kept": False}, "id": 1}])
    _, (plain,) = export(room)
    assert plain["srt"] == {"kept": False}
    _, (scored,) = export(room, columns=["verdict"])
    assert list(scored) == ["srt", "id", "instruction", "output"]
    assert scored["srt"]["kept"] is True


def test_a_run_that_keeps_nothing_gives_an_empty_file(room: Room, files: Path) -> None:
    room.add(kept=False)
    made, records = export(room)
    assert (made.row_count, records) == (0, [])
    assert made.sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"colour": "red"}, "An export has no option “colour”."),
        ({"include": "some"}, "Choose what to export: the kept pairs, or all."),
        (
            {"columns": ["rank"]},
            "There is no column “rank”: one of scores, verdict, decision, lineage.",
        ),
        ({"deduplicate": "yes"}, "The option “deduplicate” is either true or false."),
        ({"top_percent": 0}, "The best part is above 0 % and at most 100 %."),
        ({"top_percent": "x"}, "The best part is above 0 % and at most 100 %."),
        ({"validation_percent": 95}, "The validation part is between 0 % and 90 %."),
        ({"seed": 1.5}, "The seed is a whole number."),
    ],
)
def test_an_unknown_option_is_refused(room: Room, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ServiceError) as caught:
        create_export(run=room.run, user=room.owner, options=options)
    assert str(caught.value) == said
    assert not Export.objects.exists()


# -- The manifest ---------------------------------------------------------------------------------
def test_the_manifest_says_how_the_file_came_about(room: Room, files: Path) -> None:
    rows = fill(room)
    Score.objects.filter(run_sample=rows["failed"]).update(
        status="unscorable", reason="too_short", ifd=None, r_ifd=None
    )
    made, _ = export(room)
    assert made.manifest == {
        "srt_web": version("srt-web"),
        "created_at": made.created_at.isoformat(),
        "options": {
            "include": "kept",
            "shape": "as_imported",
            "container": "jsonl",
            "filter": {},
            "columns": [],
            "deduplicate": False,
            "top_percent": None,
            "top_by": "ifd",
            "validation_percent": 0.0,
            "seed": 0,
            "kept_as_is": True,
            "policy": {},
        },
        "files": [
            {
                "name": "train.jsonl",
                "split": "train",
                "rows": 5,
                "size_bytes": Path(made.file.path).stat().st_size,
                "sha256": made.sha256,
            }
        ],
        "rows": 5,
        "left_out": {},
        "dataset": {"name": "Tips", "sha256": "d" * 64, "format": "", "samples": 0},
        "run": {"id": room.run.pk, "name": "First pass", "status": "running"},
        "rounds": [
            {
                "round": 1,
                "run": room.run.pk,
                "name": "First pass",
                "dataset": {"name": "Tips", "sha256": "d" * 64},
                "pairs": len(rows),
                "teacher": "house-teacher",
                "student": "house-student",
                "prompt_version": "7",
            }
        ],
        "teacher": {
            "model": "house-teacher",
            "host": "llm.example",
            "protocol": "tagged",
            "temperature": 0.7,
            "prompt_version": "7",
            "edited_prompts": {},
            "is_the_student": False,
            "questions": 0,
            "answered_from_storage": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cost": 0.0,
        },
        "student": {
            "name": "House student",
            "model": "house-student",
            "revision": "",
            "fingerprint": "f" * 64,
            "template": "alpaca",
            "dtype": "auto",
            "max_length": 2048,
        },
        "policy": PolicySpec(max_ifd=None).as_dict(),
        "counts": {
            "total": 9,
            "kept": 5,
            "kept_by_source": {"original": 1, "instruction": 1, "response": 2, "edit": 1},
            "dropped": 2,
            "dropped_by_reason": {"dropped_by_hand": 1, "response_not_accepted": 1},
            "failed": 1,
            "unfinished": 1,
            "unscorable": {"originals": 1, "rewrites": 0},
        },
        "means": {
            "ifd_before": 0.62,
            "ifd_after": 0.6875,
            "r_ifd_before": 0.66,
            "r_ifd_after": 0.61,
            "response_tokens_before": 24.0,
            "response_tokens_after": 54.0,
        },
        "decisions": {
            "by_action": {"accept": 1, "drop": 1, "edit": 1, "original": 1},
            "overrides": 3,
        },
    }


def test_the_manifest_stays_true_when_the_registries_change(room: Room, files: Path) -> None:
    fill(room)
    room.run.teacher.model = "another"
    room.run.teacher.save()
    made, _ = export(room)
    assert made.manifest["teacher"]["model"] == "house-teacher"
    assert "s3cret" not in json.dumps(made.manifest)
    assert "/models" not in json.dumps(made.manifest)


# -- Loading what left ----------------------------------------------------------------------------
def load(path: Path, cache: Path) -> hf_datasets.Dataset:
    return hf_datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(cache)
    )


def add_extras(room: Room, extras: list[dict[str, Any]]) -> None:
    samples = Sample.objects.filter(dataset=room.run.dataset)
    for sample, extra in zip(samples, extras, strict=True):
        sample.extra = extra
        sample.layout = [*extra, "instruction", "output"]
        sample.save()


@pytest.mark.parametrize("columns", [[], ["scores", "verdict", "decision", "lineage"]])
def test_the_file_loads_with_datasets(
    room: Room, files: Path, tmp_path: Path, columns: list[str]
) -> None:
    fill(room)
    made, records = export(room, columns=columns)
    loaded = load(Path(made.file.path), tmp_path / "cache")
    assert list(loaded) == records


def test_the_file_loads_with_mixed_further_fields(room: Room, files: Path, tmp_path: Path) -> None:
    for _ in range(4):
        room.add(response=TIPS_RESPONSE)
    extras = [
        {"id": 1, "meta": {"a": 1}},
        {"id": "two", "tags": ["x", "\u2028"]},
        {},
        {"id": None, "meta": {"b": [1.5]}},
    ]
    add_extras(room, extras)
    made, records = export(room, include="all", columns=ALL)
    assert [
        {k: v for k, v in r.items() if k not in {"instruction", "output", "srt"}} for r in records
    ] == extras
    loaded = load(Path(made.file.path), tmp_path / "cache")
    assert loaded["id"] == [1, "two", None, None]
    assert loaded["tags"] == [None, ["x", "\u2028"], None, None]
    assert [row["r_ifd_after"] for row in loaded["srt"]] == [0.52] * 4


# -- Round trip -----------------------------------------------------------------------------------
@hypothesis_settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(records=st.lists(RECORDS, min_size=1, max_size=4), as_lines=st.booleans())
def test_untouched_records_leave_as_they_came(
    room: Room, files: Path, tmp_path: Path, records: list[dict[str, Any]], as_lines: bool
) -> None:
    content = (
        "".join(json.dumps(record) + "\n" for record in records)
        if as_lines
        else json.dumps(records, ensure_ascii=False, indent=1)
    )
    dataset = create_dataset(
        project=room.project,
        name="",
        upload=ContentFile(content.encode()),
        filename="any",
        user=None,
    )
    import_dataset(dataset_id=dataset.pk)
    run = Run.objects.create(
        project=room.project,
        dataset=dataset,
        teacher=room.run.teacher,
        student=room.run.student,
        name="Untouched",
    )
    RunSample.objects.bulk_create(
        RunSample(run=run, sample=sample, position=sample.position)
        for sample in dataset.samples.all()
    )
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    export_to_folder(run=run, folder=out, options={"include": "all"})
    text = (out / "train.jsonl").read_text("utf-8")
    assert [exact(json.loads(line)) for line in text.split("\n")[:-1]] == [
        exact(record) for record in records
    ]


# -- Delivered twice, killed, suspended -----------------------------------------------------------
def test_a_second_delivery_changes_nothing(room: Room, files: Path) -> None:
    fill(room)
    made, _ = export(room)
    before = sorted(stored(files))
    write_export(export_id=made.pk)
    assert sorted(stored(files)) == before

    held = create_export(run=room.run, user=None, options={})
    lease = timezone.now() + timedelta(minutes=1)
    Export.objects.filter(pk=held.pk).update(status=Status.WRITING, lease_expires_at=lease)
    write_export(export_id=held.pk)
    held.refresh_from_db()
    assert held.status == Status.WRITING


KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
ASLEEP = "os.kill(os.getpid(), signal.SIGSTOP)"


def start_writer(export: Export, database_url: str, *, then: str) -> subprocess.Popen[str]:
    """A process that writes an export and, at its third line, does ``then``."""
    code = f"""
import django; django.setup()
import os, signal
from refinement.services.export_stream import ExportStream
from refinement.services.exports import write_export
record, count = ExportStream._plain_record, 0

def third_time(*args, **kwargs):
    global count
    count += 1
    if count == 3:
        {then}
    return record(*args, **kwargs)

ExportStream._plain_record = third_time
write_export(export_id={export.pk})
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "srt_web.settings",
            "SRT_LEASE_SECONDS": "0.5",
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lease(export: Export) -> None:
    deadline = time.monotonic() + 60
    while True:
        export.refresh_from_db()
        if export.lease_expires_at and export.lease_expires_at < timezone.now():
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def folder_of(export: Export) -> Path:
    return Path(export.file.storage.path(f"exports/{export.created_at:%Y/%m}"))


def files_of(export: Export) -> list[str]:
    return [
        path.name for path in folder_of(export).iterdir() if f"export-{export.pk}-" in path.name
    ]


@pytest.mark.processes
def test_a_writer_killed_half_way_leaves_nothing_behind(room: Room, database_url: str) -> None:
    fill(room)
    made = create_export(run=room.run, user=None, options={})
    writer = start_writer(made, database_url, then=KILLED)
    _, said = writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL, said
    made.refresh_from_db()
    assert (made.status, made.file.name) == (Status.WRITING, "")
    (part,) = files_of(made)
    assert part.endswith(".part")

    wait_for_lease(made)
    write_export(export_id=made.pk)
    made.refresh_from_db()
    assert (made.status, made.row_count) == (Status.READY, 5)
    assert files_of(made) == [Path(made.file.path).parent.name]


@pytest.mark.processes
def test_a_writer_that_slept_past_its_lease_changes_nothing(room: Room, database_url: str) -> None:
    rows = fill(room)
    made = create_export(run=room.run, user=None, options={})
    writer = start_writer(made, database_url, then=ASLEEP)
    try:
        _, status = os.waitpid(writer.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        wait_for_lease(made)
        record_decision(run_sample=rows["accept"], user=room.owner, action="drop")
        write_export(export_id=made.pk)
        made.refresh_from_db()
        before = (made.status, made.file.name, made.sha256, made.row_count)
        writer.send_signal(signal.SIGCONT)
        _, said = writer.communicate(timeout=60)
    finally:
        if writer.poll() is None:
            writer.kill()
            writer.wait(10)
    assert writer.returncode == 0, said
    assert "taken over by another worker" in said
    made.refresh_from_db()
    assert (made.status, made.file.name, made.sha256, made.row_count) == before
    assert before[0] == Status.READY
    assert before[3] == 4
    assert files_of(made) == [Path(made.file.path).parent.name]
    assert hashlib.sha256(Path(made.file.path).read_bytes()).hexdigest() == made.sha256


def test_a_full_disk_is_said_and_leaves_nothing(
    room: Room, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(room)
    made = create_export(run=room.run, user=None, options={})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    write_export(export_id=made.pk)
    made.refresh_from_db()
    assert (made.status, made.error) == (
        Status.FAILED,
        "The disk is full, so the export was not written. Make room, then export again.",
    )
    assert not stored(files)


def test_what_a_shape_cannot_say_is_left_out_and_said(room: Room, files: Path) -> None:
    row = room.add(response=TIPS_RESPONSE)
    room.add(response=TIPS_RESPONSE)
    row.sample.context = [{"role": "assistant", "content": "Hello"}]
    row.sample.save()
    made, records = export(room, shape="alpaca")
    assert len(records) == 1
    assert made.manifest["left_out"] == {"not_of_this_shape": 1}
    assert made.manifest["first_not_of_this_shape"].startswith("pair 1: Alpaca holds a system")
    _, records = export(room, shape="messages")
    assert len(records) == 2


# -- The command ----------------------------------------------------------------------------------
def test_the_command_writes_file_and_manifest(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(room)
    out = tmp_path / "new" / "selected.jsonl"
    call_command("export_dataset", "--run", str(room.run.pk), "-o", str(out))
    assert capsys.readouterr().out == (
        f"{out}: 5 rows (5 of 9 pairs kept, 1 failed, 1 unfinished)\n"
        f"{out.parent}/selected.manifest.json: how it came about\n"
    )
    manifest = json.loads((out.parent / "selected.manifest.json").read_text("utf-8"))
    assert manifest["files"][0]["name"] == "selected.jsonl"
    assert manifest["files"][0]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "selected.jsonl",
        "selected.manifest.json",
    ]
    assert not Export.objects.exists()


def test_the_command_takes_all_with_scores(room: Room, tmp_path: Path) -> None:
    fill(room)
    out = tmp_path / "all.jsonl"
    call_command(
        "export_dataset", "--run", str(room.run.pk), "-o", str(out), "--all", "--with-scores"
    )
    lines = out.read_text("utf-8").splitlines()
    assert len(lines) == 9
    assert all(len(json.loads(line)["srt"]) == 14 for line in lines)


def test_the_command_says_what_is_wrong(room: Room, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^There is no run 999999\.$"):
        call_command("export_dataset", "--run", "999999", "-o", str(tmp_path / "x"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"^Cannot write .*x\.jsonl: File exists\.$"):
        call_command(
            "export_dataset", "--run", str(room.run.pk), "-o", str(tmp_path / "file" / "x.jsonl")
        )
