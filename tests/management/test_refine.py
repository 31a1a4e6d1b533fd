"""``manage.py refine`` as a user runs it: a process, a file in, a file out."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from refinement.management.progress import duration, progress_line
from refinement.models import Project, Run
from refinement.selectors.runs import run_progress
from refinement.services.models_registry import create_endpoint
from tests.environment import REPOSITORY
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.world import make_world, questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SAMPLES = 6
CALLS = 5 * SAMPLES


@dataclass
class Desk:
    """A user's folder with a file in it, a database of its own, and a teacher somewhere."""

    folder: Path
    student: Path
    teacher: FakeTeacher
    arguments: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out.jsonl"

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(REPOSITORY / "manage.py"), "refine", "in.jsonl"]
        command += ["-o", "out.jsonl", "--teacher", self.teacher.base_url, "--protocol", "staged"]
        command += ["--teacher-model", "fake-teacher", "--student", str(self.student), *more]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ
            | {
                "SRT_DATA_DIR": str(self.folder / "var"),
                "DATABASE_URL": f"sqlite:///{self.folder / 'own.sqlite3'}",
                "SRT_LEASE_SECONDS": "2",
                "OMP_NUM_THREADS": "1",
            },
        )

    def run(self, *more: str) -> tuple[int, str, str]:
        process = self.start(*more)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def rows(self, table: str) -> int:
        with sqlite3.connect(f"file:{self.folder / 'own.sqlite3'}?mode=ro", uri=True) as database:
            query = f"SELECT count(*) FROM refinement_{table}"  # noqa: S608 - our own names
            return int(database.execute(query).fetchone()[0])


@pytest.fixture
def desk(tmp_path: Path, student_path: Path, new_database: Path) -> Iterator[Desk]:
    shutil.copyfile(new_database, tmp_path / "own.sqlite3")
    lines = [
        json.dumps({"instruction": text, "output": "Not much.", "id": number})
        for number, text in enumerate(questions(SAMPLES))
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    with FakeTeacher(Settings(latency=0.05)) as teacher:
        yield Desk(folder=tmp_path, student=student_path, teacher=teacher)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.processes
def test_the_whole_method_on_one_file_whatever_ends_it_and_nothing_again(desk: Desk) -> None:
    (desk.folder / "own.sqlite3").unlink()  # it makes one where there is none
    requests = desk.teacher.state.requests
    process = desk.start("--concurrency", "2")
    wait_for(lambda: len(requests) > CALLS // 3, process)
    process.kill()
    process.communicate()
    stored, asked = desk.rows("teachercall"), len(requests)
    assert 0 < stored < CALLS
    lost = asked - 1 - stored  # the first one asked whether the teacher is there
    assert lost <= 2, "at most those under way at the kill are paid again"

    desk.teacher.state.settings = Settings(latency=2.0)  # it shall not be done when it is told
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a script
    process = desk.start("--concurrency", "2")
    signal.signal(signal.SIGINT, before)
    wait_for(lambda: len(requests) > asked + 2, process)  # is the teacher there, and two questions
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. The same command goes on from here." in err
    with sqlite3.connect(desk.folder / "own.sqlite3") as database:
        states = database.execute("SELECT DISTINCT state FROM refinement_runsample").fetchall()
    assert ("leased",) not in states
    assert not desk.out.exists()

    desk.teacher.state.settings = Settings(latency=0.05)
    status, out, err = desk.run("--concurrency", "2")
    assert status == 0, err
    assert "Going on with run 1" in err
    assert desk.rows("run") == desk.rows("dataset") == 1
    assert desk.rows("teachercall") == CALLS
    assert desk.rows("candidate") == 2 * SAMPLES
    checks = 3
    assert len(requests) <= CALLS + checks + lost + 2, "at most those under way were paid again"
    assert_all_is_there(desk, out, err)

    first, asked = desk.out.read_bytes(), len(requests)
    desk.out.unlink()
    status, out, err = desk.run()
    assert status == 0, err
    assert f"{SAMPLES} of {SAMPLES} done" in err
    assert desk.out.read_bytes() == first
    assert len(requests) == asked, "nothing is asked again, nor whether the teacher is there"


def assert_all_is_there(desk: Desk, out: str, err: str) -> None:
    records = [json.loads(line) for line in desk.out.read_text().splitlines()]
    manifest = json.loads((desk.folder / "out.manifest.json").read_text())
    assert manifest["counts"]["total"] == SAMPLES
    assert manifest["counts"]["kept"] == manifest["rows"] == len(records)
    assert manifest["teacher"]["protocol"] == "staged"
    for record in records:
        assert record["output"] != "Not much."
        assert record["id"] in range(SAMPLES)
    table = dict(line.rsplit("  ", 1) for line in out.splitlines() if "  " in line)
    summary = {name.strip(): value.strip() for name, value in table.items()}
    assert summary["samples"] == str(SAMPLES)
    assert summary["teacher calls"] == str(CALLS)
    assert summary["kept"] == str(len(records))
    assert f"of {SAMPLES} done" in err


@pytest.mark.processes
def test_a_run_that_cannot_go_on_says_why_in_a_sentence(desk: Desk) -> None:
    status, _, err = desk.run("--teacher-key-variable", "NO_SUCH_KEY_IS_SET")
    assert status == 1
    assert err.splitlines()[-1].startswith("CommandError: The environment variable NO_SUCH_KEY_IS")
    assert "Traceback" not in err


# -- In this process ------------------------------------------------------------------------------
def refine(*arguments: Any) -> tuple[str, str]:
    """What it prints and what it says meanwhile. Raises CommandError."""
    out, err = StringIO(), StringIO()
    call_command("refine", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db(transaction=True)  # its loops work in threads
def test_a_budget_that_is_raised_and_a_second_round(desk: Desk) -> None:
    command = [
        *(desk.folder / "in.jsonl", "-o", desk.out, "--student", desk.student, "--limit", "3"),
        *("--teacher", desk.teacher.base_url, "--teacher-model", "fake-teacher"),
        *("--any-response", "--max-ifd", "none", "--max-r-ifd", "none"),
    ]
    with pytest.raises(CommandError, match="tokens are used") as stopped:
        refine(*command, "--budget-tokens", "200")
    assert stopped.value.returncode == 1
    first = Run.objects.get()
    assert first.teacher_calls < 5 * 3
    out, err = refine(*command, "--budget-tokens", "10000000", "--rounds", "2")
    assert f"Round 2 of 2 begins with the 3 pairs that run {first.pk} kept." in err
    second = Run.objects.exclude(pk=first.pk).get()
    manifest = json.loads((desk.folder / "out.manifest.json").read_text())
    assert [earlier["run"] for earlier in manifest["rounds"]] == [first.pk, second.pk]
    assert len(desk.out.read_text().splitlines()) == 3
    assert re.search(r"^samples +3$", out, re.MULTILINE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"instruction": "Why?", "output": "Because."}]))
    return path


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere.json", "-o", "{}/out.jsonl"], "There is no file /nowhere.json."),
        (["{}/in.json", "-o", "{}/in.json"], "the same file"),
        (["{}/in.json", "-o", "{}/no/such/out.jsonl"], "is not a file in a folder"),
        (["{}/in.json", "-o", "{}/out.jsonl", "--teacher", "http://t"], "--teacher-model NAME"),
        (["{}/in.json", "-o", "{}/o", "--concurrency", "3"], "goes with --teacher URL"),
        (["{}/in.json", "-o", "{}/o", "--rounds", "0"], "--rounds takes a number above 0"),
        (["{}/broken.json", "-o", "{}/out.jsonl"], "broken.json: "),
        (
            ["{}/in.json", "-o", "{}/o", "--teacher", "x", "--teacher-model", "m"],
            "as a URL",
        ),
        (
            [
                *("{}/in.json", "-o", "{}/o", "--teacher", "http://127.0.0.1:9/v1"),
                *("--teacher-model", "m", "--student", "/nowhere"),
            ],
            "There is no student at '/nowhere'",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_begins(
    file: Path, arguments: list[str], words: str
) -> None:
    (file.parent / "broken.json").write_text("[{")
    with pytest.raises(CommandError, match=re.escape(words)):
        refine(*(argument.format(file.parent) for argument in arguments))


@pytest.mark.django_db
def test_a_teacher_that_is_down_is_said_before_the_run_begins(
    file: Path, student_path: Path
) -> None:
    with pytest.raises(CommandError, match="Nothing answers at "):
        refine(
            *(file, "-o", file.parent / "out.jsonl", "--student", student_path),
            *("--teacher", "http://127.0.0.1:9/v1", "--teacher-model", "m"),
        )
    assert Project.objects.get().name == "Command line"


@pytest.mark.django_db
def test_a_student_that_teaches_itself_is_served_by_a_registered_teacher(
    file: Path, student_path: Path
) -> None:
    command = [file, "-o", file.parent / "o", "--student", student_path, "--teacher", "student"]
    with pytest.raises(CommandError, match="No registered teacher serves the model of"):
        refine(*command)
    create_endpoint(name="Mirror", base_url="http://127.0.0.1:9/v1", model=str(student_path))
    with pytest.raises(CommandError, match="Nothing answers at "):  # it was found, and asked
        refine(*command)


@pytest.mark.django_db
def test_the_progress_line_tells_where_the_samples_are(student_path: Path, wakes: object) -> None:
    run = make_world(student_path=student_path).run(3)
    run.run_samples.filter(position=0).update(stage="done", state="done")
    run.run_samples.filter(position=1).update(state="failed")
    assert progress_line(run_progress(run)) == (
        "1 of 3 done, 1 failed · 1 reflecting on instructions · teacher 0 tokens/s · "
        "student 0.0 pairs/s"
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3:05 min"), (7620, "2:07 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
