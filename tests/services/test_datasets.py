"""Uploads and imports: what is stored, what is refused, and what a killed worker leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from refinement.method.pairs import Pair, Turn
from refinement.models import Dataset, Membership, Project, RejectedRow, Sample, User
from refinement.services import importing
from refinement.services.bulk import insert_rows
from refinement.services.datasets import (
    content_hash,
    create_dataset,
    delete_dataset,
    import_dataset,
)
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from tests.review_room import make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django.fixtures import SettingsWrapper

REPOSITORY = Path(__file__).resolve().parents[2]
Status = Dataset.Status


def alpaca(n: int, **fields: Any) -> dict[str, Any]:
    return {"instruction": f"Question {n}", "input": "", "output": f"Answer {n}", **fields}


def jsonl(*records: object) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.fixture
def files(tmp_path: Path, settings: SettingsWrapper) -> Path:
    """An empty folder for what is uploaded."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return tmp_path / "files"


@pytest.fixture
def project(transactional_db: None) -> Project:
    project = Project.objects.create(name="Cooking")
    owner = User.objects.create_user("ann")
    Membership.objects.create(project=project, user=owner, role="owner")
    return project


@pytest.fixture
def woken() -> Iterator[list[tuple[str, int]]]:
    """The wakes sent; nobody answers them."""
    sent: list[tuple[str, int]] = []
    with delivered_to(lambda task, object_id: sent.append((task, object_id))):
        yield sent


@pytest.fixture
def upload(project: Project, files: Path, woken: object) -> Callable[[bytes], Dataset]:
    """Stores content as a dataset that waits for its import."""

    def upload(content: bytes) -> Dataset:
        return create_dataset(
            project=project,
            name="",
            upload=ContentFile(content),
            filename="tips.json",
            user=User.objects.get(username="ann"),
        )

    return upload


@pytest.fixture
def imported(upload: Callable[[bytes], Dataset]) -> Callable[[bytes], Dataset]:
    def imported(content: bytes) -> Dataset:
        dataset = upload(content)
        import_dataset(dataset_id=dataset.pk)
        dataset.refresh_from_db()
        return dataset

    return imported


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# -- Storing --------------------------------------------------------------------------------------
def test_an_upload_is_stored_and_its_import_asked_for(
    project: Project, files: Path, woken: list[tuple[str, int]]
) -> None:
    content = jsonl(alpaca(1))
    dataset = create_dataset(
        project=project,
        name="  ",
        upload=ContentFile(content),
        filename="C:\\data\\../tips\x00 é.jsonl",
        user=None,
    )
    assert woken == [("refinement.import_dataset", dataset.pk)]
    dataset.refresh_from_db()
    assert (dataset.status, dataset.size_bytes) == (Status.PENDING, len(content))
    assert dataset.sha256 == hashlib.sha256(content).hexdigest()
    assert (dataset.name, dataset.filename) == ("tips\\x00 é", "tips\\x00 é.jsonl")
    (path,) = stored(files)
    assert path.read_bytes() == content
    assert "tips" not in path.name


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("Tips", b"", "The file is empty. Choose another one."),
        (
            "Tips",
            b"x" * 2001,
            (
                "The file is larger than the 2.0\xa0KB that this server takes. "
                "Split it, or ask the admin to raise SRT_UPLOAD_LIMIT_BYTES."
            ),
        ),
        ("n" * 201, b"[]", "A dataset's name may have 200 characters at most."),
        ("a\x00b", b"[]", "The name has a character that is not text (NUL)."),
    ],
)
def test_a_refused_upload_leaves_nothing(
    project: Project,
    files: Path,
    settings: SettingsWrapper,
    name: str,
    content: bytes,
    said: str,
) -> None:
    settings.UPLOAD_LIMIT_BYTES = 2000
    with pytest.raises(ServiceError) as caught:
        create_dataset(
            project=project, name=name, upload=ContentFile(content), filename="a.json", user=None
        )
    assert str(caught.value) == said
    assert not stored(files)
    assert not Dataset.objects.exists()


class FailingUpload(ContentFile):
    """Gives a first chunk, then what the disk says."""

    number = errno.ENOSPC

    def chunks(self, _chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"{"
        raise OSError(self.number, os.strerror(self.number))


class LyingUpload(ContentFile):
    """Larger than it says."""

    def chunks(self, _chunk_size: int | None = None) -> Iterator[bytes]:
        while True:
            yield b" " * 1000


@pytest.mark.parametrize(
    ("upload_type", "number", "said"),
    [
        (FailingUpload, errno.ENOSPC, "The server's disk is full, so the file was not stored."),
        (FailingUpload, errno.EIO, "The server could not store the file (Input/output error)."),
        (LyingUpload, 0, "The file is larger than"),
    ],
)
def test_an_upload_that_fails_half_way_leaves_nothing(
    project: Project,
    files: Path,
    settings: SettingsWrapper,
    upload_type: type[FailingUpload],
    number: int,
    said: str,
) -> None:
    settings.UPLOAD_LIMIT_BYTES = 2000
    upload = upload_type(b"{}")
    upload.number = number
    with pytest.raises(ServiceError, match=said.replace("(", r"\(").replace(")", r"\)")):
        create_dataset(project=project, name="", upload=upload, filename="a.json", user=None)
    assert not stored(files)
    assert not Dataset.objects.exists()


# -- Importing ------------------------------------------------------------------------------------
def test_samples_keep_all_of_a_record(imported: Callable[[bytes], Dataset]) -> None:
    record = {
        "id": 10**20,
        "output": "Answer",
        "meta": {"z": 1e5, "a": [-0.0, 1.0, "é\u2028"]},
        "instruction": "Question",
        "history": [["Hi", "Hello"]],
        "system": "Be brief.",
    }
    dataset = imported(jsonl(alpaca(0), record))
    assert (dataset.status, dataset.error, dataset.format) == (Status.READY, "", "alpaca")
    assert dataset.lease_expires_at is None
    assert dataset.read_bytes == dataset.size_bytes
    plain, rich = dataset.samples.all()
    assert (plain.position, plain.line, plain.extra, plain.layout) == (0, 1, {}, [])
    assert (rich.position, rich.line) == (1, 2)
    assert rich.layout == list(record)
    assert json.dumps(rich.extra) == json.dumps({"id": record["id"], "meta": record["meta"]})
    pair = Pair(
        "Question",
        "Answer",
        "",
        (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello")),
    )
    assert rich.as_pair() == pair
    assert rich.content_hash == content_hash(pair)


def test_every_refused_record_is_kept_with_its_line(imported: Callable[[bytes], Dataset]) -> None:
    bad = [{"instruction": f"a{n}", "output": None} for n in range(1500)]
    records = [record for n, one in enumerate(bad) for record in (alpaca(n), one)]
    dataset = imported(jsonl(*records))
    assert (dataset.status, dataset.sample_count, dataset.rejected_count) == (
        Status.READY,
        1500,
        1500,
    )
    assert list(dataset.samples.values_list("position", "line")) == [
        (n, 2 * n + 1) for n in range(1500)
    ]
    assert list(dataset.rejected_rows.values_list("line", flat=True)) == [
        2 * n + 2 for n in range(1500)
    ]
    row = dataset.rejected_rows.first()
    assert row is not None
    assert (row.field, row.reason) == ("output", "the field 'output' is null, not text")
    assert row.excerpt == '{"instruction": "a0", "output": null}'


@pytest.mark.parametrize(
    ("content", "error", "rejected"),
    [
        (b"PK\x03\x04rest", "The file is a zip archive (or a spreadsheet)", 0),
        (b"\n\n", "The file holds nothing but blank lines.", 0),
        (b"[]", "The file holds no records.", 0),
        (b"hello", "Line 1: this is no known kind of file", 0),
        (
            jsonl({"instruction": "a"}, 5, {"output": "b"}),
            "None of the 3 records can be used. The first: line 1, the field 'output' is missing.",
            3,
        ),
        (
            jsonl({"instruction": "a"}, *map(alpaca, range(2500))) + b'{"instruction": "cut',
            "Line 2502: the file ends in the middle of a record: it was cut off.",
            1,
        ),
        (
            json.dumps([*map(alpaca, range(2500)), {}], indent=0).encode()[:-3],
            "Line 12502: the file ends in the middle of this record: it was cut off.",
            0,
        ),
        (
            json.dumps([*map(alpaca, range(2500))]).encode() + b"x",
            "Line 1: more text follows the end of the array: 'x'.",
            0,
        ),
    ],
)
def test_a_file_that_cannot_be_imported_leaves_no_sample(
    imported: Callable[[bytes], Dataset], content: bytes, error: str, rejected: int
) -> None:
    dataset = imported(content)
    assert dataset.status == Status.FAILED
    assert dataset.error.startswith(error)
    assert dataset.sample_count == 0
    assert dataset.samples.count() == 0
    assert dataset.rejected_count == dataset.rejected_rows.count() == rejected
    assert dataset.lease_expires_at is None


def test_the_record_limit_is_the_settings(
    imported: Callable[[bytes], Dataset], settings: SettingsWrapper
) -> None:
    settings.RECORD_LIMIT_BYTES = 1000
    dataset = imported(jsonl(alpaca(1), alpaca(2, pad="x" * 5000), alpaca(3)))
    assert dataset.sample_count == 2
    assert dataset.rejected_rows.get().reason == "the record is longer than 1,000 bytes"


def test_a_stored_file_that_is_gone_is_named(upload: Callable[[bytes], Dataset]) -> None:
    dataset = upload(jsonl(alpaca(1)))
    Path(dataset.file.path).unlink()
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.error) == (
        Status.FAILED,
        "The stored file is gone. Upload it again.",
    )


def test_progress_shows_while_the_import_runs(
    upload: Callable[[bytes], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = upload(jsonl(*map(alpaca, range(3500))))
    seen: list[tuple[str, int, int]] = []

    def watch(model: type, columns: Any, rows: Any) -> None:
        now = Dataset.objects.get(pk=dataset.pk)
        seen.append((now.status, now.sample_count, len(rows)))
        insert_rows(model, columns, rows)

    monkeypatch.setattr(importing, "insert_rows", watch)
    import_dataset(dataset_id=dataset.pk)
    assert seen == [
        ("importing", count, rows)
        for count, rows in ((1000, 1000), (2000, 1000), (3000, 1000), (3500, 500))
    ]


def test_long_records_are_saved_in_small_batches(
    upload: Callable[[bytes], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = upload(jsonl(*(alpaca(n, pad="x" * 1024**2) for n in range(12))))
    sizes: list[int] = []

    def watch(model: type, columns: Any, rows: Any) -> None:
        sizes.append(len(rows))
        insert_rows(model, columns, rows)

    monkeypatch.setattr(importing, "insert_rows", watch)
    import_dataset(dataset_id=dataset.pk)
    assert sum(sizes) == 12
    assert max(sizes) <= 5


# -- Delivered twice, killed, suspended -----------------------------------------------------------
def test_a_second_delivery_changes_nothing(
    imported: Callable[[bytes], Dataset], upload: Callable[[bytes], Dataset]
) -> None:
    done = imported(jsonl(alpaca(1)))
    before = list(done.samples.values_list("pk", flat=True))
    import_dataset(dataset_id=done.pk)
    assert list(done.samples.values_list("pk", flat=True)) == before

    held = upload(jsonl(alpaca(1)))
    lease = timezone.now() + timezone.timedelta(minutes=1)
    Dataset.objects.filter(pk=held.pk).update(status=Status.IMPORTING, lease_expires_at=lease)
    import_dataset(dataset_id=held.pk)
    assert not held.samples.exists()
    import_dataset(dataset_id=10**9)  # deleted meanwhile


STOPS = """
import os, signal
from refinement.services import import_feed
from refinement.services.importing import Import
import_feed.SMALL_BYTES = -1
save, saved = Import._save, []

def stop_once(self, batch):
    if len(saved) == 3:
        os.kill(os.getpid(), signal.{signal})
    saved.append(save(self, batch))

Import._save = stop_once
"""


class Worker:
    """A process that imports one dataset, with a lease of half a second and a reader beside it.

    Between its third batch and the fourth, where it holds no lock, it sends itself a signal.
    """

    def __init__(self, dataset: Dataset, database_url: str, signal_: signal.Signals) -> None:
        code = (
            "import django; django.setup()\n"
            f"{STOPS.format(signal=signal_.name)}\n"
            "from refinement.services.datasets import import_dataset\n"
            f"import_dataset(dataset_id={dataset.pk})\n"
        )
        self.process = subprocess.Popen(
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

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stderr:
            self.process.stderr.close()


ROWS = 6_000


@pytest.fixture
def large(project: Project, woken: object) -> Iterator[Dataset]:
    """A dataset large enough to be met half-way."""
    # Not under `files`: the worker reads the settings' own folder.
    content = jsonl(*(alpaca(n) if n % 10 else {"output": "b"} for n in range(ROWS)))
    dataset = create_dataset(
        project=project, name="", upload=ContentFile(content), filename="l.jsonl", user=None
    )
    yield dataset
    Path(dataset.file.path).unlink(missing_ok=True)


def wait_for_lease(dataset: Dataset) -> None:
    """Until the lease of a worker that renews it no more is over."""
    deadline = time.monotonic() + 60
    while True:
        ends = Dataset.objects.values_list("lease_expires_at", flat=True).get(pk=dataset.pk)
        if ends is None or ends < timezone.now():
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_whole(dataset: Dataset) -> None:
    dataset.refresh_from_db()
    assert (dataset.status, dataset.lease_expires_at) == (Status.READY, None)
    assert (dataset.sample_count, dataset.rejected_count) == (ROWS * 9 // 10, ROWS // 10)
    wanted = [n for n in range(ROWS) if n % 10]
    assert list(dataset.samples.values_list("position", "instruction")) == [
        (position, f"Question {n}") for position, n in enumerate(wanted)
    ]
    assert list(dataset.rejected_rows.values_list("line", flat=True)) == [
        n + 1 for n in range(0, ROWS, 10)
    ]


@pytest.mark.processes
def test_an_import_killed_half_way_is_done_again(large: Dataset, database_url: str) -> None:
    worker = Worker(large, database_url, signal.SIGKILL)
    try:
        _, said = worker.process.communicate(timeout=60)
    finally:
        worker.stop()
    assert worker.process.returncode == -signal.SIGKILL, said
    large.refresh_from_db()
    assert (large.status, large.record_count) == (Status.IMPORTING, 3_000)
    assert large.samples.count() == 2_700

    wait_for_lease(large)
    import_dataset(dataset_id=large.pk)
    check_whole(large)


@pytest.mark.processes
def test_a_worker_that_slept_past_its_lease_changes_nothing(
    large: Dataset, database_url: str
) -> None:
    worker = Worker(large, database_url, signal.SIGSTOP)
    try:
        _, status = os.waitpid(worker.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), worker.process.stderr and worker.process.stderr.read()
        wait_for_lease(large)
        import_dataset(dataset_id=large.pk)
        before = set(large.samples.values_list("pk", flat=True))
        worker.process.send_signal(signal.SIGCONT)
        _, said = worker.process.communicate(timeout=60)
    finally:
        worker.stop()
    assert worker.process.returncode == 0, said
    assert "taken over by another worker" in said
    check_whole(large)
    assert set(large.samples.values_list("pk", flat=True)) == before


# -- Hash, delete ---------------------------------------------------------------------------------
def test_the_hash_tells_pairs_apart() -> None:
    pairs = [
        Pair("a", "b"),
        Pair("a", "", "b"),
        Pair("ab", ""),
        Pair("a", "b", "", (Turn("system", ""),)),
        Pair("a", "b", "", (Turn("user", "x"), Turn("assistant", "y"))),
        Pair("a", "b", "", (Turn("user", "x\x01assistant"),)),
    ]
    assert len({content_hash(pair) for pair in pairs}) == len(pairs)
    assert content_hash(Pair("a", "b")) == content_hash(Pair("a", "b"))


def test_a_dataset_is_deleted_with_its_file(
    imported: Callable[[bytes], Dataset], files: Path
) -> None:
    dataset = imported(jsonl(alpaca(1), {}))
    delete_dataset(dataset=dataset)
    assert not Dataset.objects.exists()
    assert not Sample.objects.exists()
    assert not RejectedRow.objects.exists()
    assert not stored(files)


@pytest.mark.django_db
def test_a_dataset_in_use_stays() -> None:
    room = make_room()
    room.add()
    with pytest.raises(ServiceError, match=r"“Tips” is used by runs \(First pass\)"):
        delete_dataset(dataset=room.run.dataset)
    assert Sample.objects.filter(dataset=room.run.dataset).exists()


# -- The command ----------------------------------------------------------------------------------
def test_the_command_imports_in_its_own_process(
    project: Project, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tips.jsonl"
    path.write_bytes(jsonl(alpaca(1), *({"instruction": str(n)} for n in range(7))))
    call_command("import_dataset", str(path), "--project", "Cooking", "--name", "Tips")
    dataset = Dataset.objects.get()
    out, err = capsys.readouterr()
    assert out == f"Dataset {dataset.pk} “Tips”: 1 imported, 7 rejected.\n"
    assert err.splitlines()[0].strip() == (
        'line 2: the field \'output\' is missing: {"instruction": "0"}'
    )
    assert err.splitlines()[-1].strip() == "… and 2 more"
    assert (dataset.project, dataset.status) == (project, Status.READY)


@pytest.mark.parametrize(
    ("content", "project_name", "said"),
    [
        (
            b"%PDF-1",
            "Cooking",
            "The file is a PDF document. Send the data as JSON, CSV or Parquet.",
        ),
        (b"", "Cooking", "The file is empty. Choose another one."),
        (None, "Cooking", "Cannot read {path}: No such file or directory."),
        (b"[]", "Baking", "There is no project “Baking”. There are: “Cooking”."),
    ],
)
def test_the_command_says_what_is_wrong(
    project: Project,
    files: Path,
    tmp_path: Path,
    content: bytes | None,
    project_name: str,
    said: str,
) -> None:
    path = tmp_path / "tips.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        call_command("import_dataset", str(path), "--project", project_name)
    assert str(caught.value).startswith(said.format(path=path))


def test_the_command_takes_a_number_where_names_clash(
    project: Project, files: Path, tmp_path: Path
) -> None:
    other = Project.objects.create(name="Cooking")
    path = tmp_path / "tips.jsonl"
    path.write_bytes(jsonl(alpaca(1)))
    with pytest.raises(CommandError, match="Several projects are called “Cooking”"):
        call_command("import_dataset", str(path), "--project", "Cooking")
    call_command("import_dataset", str(path), "--project", str(other.pk))
    assert Dataset.objects.get().project == other
