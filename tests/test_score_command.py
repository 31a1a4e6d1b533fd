"""``manage.py score`` on files: in this process, and as a process of its own for its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from refinement.formats.records import Record, Rejected
from refinement.management.commands.score import Progress, written_at_once
from refinement.management.score_lines import CHUNK_CHARACTERS, CHUNK_RECORDS, in_chunks
from refinement.method.pairs import Pair
from tests.golden import GOLDEN_PAIRS, golden_pairs
from tests.method.tiny_student import save_tiny_student

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
FIELDS = [
    "index",
    "status",
    "reason",
    "loss_instruction",
    "loss_response",
    "loss_instruction_given_response",
    "loss_response_given_instruction",
    "ifd",
    "r_ifd",
    "instruction_tokens",
    "response_tokens",
    "truncated",
    "straddled",
    "s_ifd",
    "grape",
    "rsr",
    "perplexity",
]


@pytest.fixture(scope="session")
def tiny_student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("tiny-command"))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Good records, refused ones between them, and one that has nothing to score."""
    lines = [
        '{"instruction": "Name a colour.", "input": "", "output": "Blue, of course.", "id": 7}',
        '{"instruction": "Name a colour.", "output": 3}',
        "{broken",
        '{"instruction": "Add them.", "input": "1 and 2", "output": ""}',
        '{"instruction": "Add them.", "input": "1 and 2", "output": "They make three."}',
    ]
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(source: Path, target: Path, **options: Any) -> str:
    """Run the command here and return what it said."""
    said = StringIO()
    arguments = {"dtype": "float32", "device": "cpu"} | options
    call_command("score", str(source), output=target, stderr=said, **arguments)
    return said.getvalue()


def read(path: Path) -> list[dict[str, Any]]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


# -- What it writes -------------------------------------------------------------------------------
def test_line_i_answers_record_i(mixed: Path, tmp_path: Path, tiny_student_folder: Path) -> None:
    said = run(mixed, tmp_path / "out.jsonl", student=str(tiny_student_folder))
    lines = read(tmp_path / "out.jsonl")

    assert [list(line) for line in lines] == [FIELDS] * 5
    assert [line["index"] for line in lines] == [0, 1, 2, 3, 4]
    statuses = ["scored", "rejected", "rejected", "unscorable", "scored"]
    assert [line["status"] for line in lines] == statuses
    assert lines[0]["reason"] is None
    assert lines[1]["reason"].startswith("line 2: the field 'output' is a number")
    assert lines[2]["reason"].startswith("line 3: ")
    assert lines[3]["reason"] == "empty"
    assert lines[2]["ifd"] is None
    assert lines[4]["ifd"] > 0
    assert "5 records (2 scored, 2 rejected, 1 unscorable)" in said


def test_losses_of_tokens_on_request(
    mixed: Path, tmp_path: Path, tiny_student_folder: Path
) -> None:
    run(mixed, tmp_path / "out.jsonl", student=str(tiny_student_folder), tokens=True)
    lines = read(tmp_path / "out.jsonl")

    assert [list(line) for line in lines] == [[*FIELDS, "response_token_losses"]] * 5
    given = lines[0]["response_token_losses"]["given_instruction"]
    assert (given[0][0], given[-1][1]) == (0, len("Blue, of course."))
    mean = sum(loss for _, _, loss in given) / len(given)
    assert mean == pytest.approx(lines[0]["loss_response_given_instruction"], abs=1e-5)
    assert len(lines[0]["response_token_losses"]["alone"]) == len(given) - 1
    assert lines[1]["response_token_losses"] == {"alone": [], "given_instruction": []}


@pytest.mark.parametrize("template", ["alpaca", "chat"])
def test_the_template_shapes_the_scores(
    template: str, mixed: Path, tmp_path: Path, tiny_student_folder: Path
) -> None:
    student = str(tiny_student_folder)
    run(mixed, tmp_path / "vicuna.jsonl", student=student)
    run(mixed, tmp_path / "other.jsonl", student=student, template=template)
    first, second = read(tmp_path / "vicuna.jsonl")[0], read(tmp_path / "other.jsonl")[0]

    assert first["loss_response"] == pytest.approx(second["loss_response"], abs=1e-6)
    assert first["ifd"] != pytest.approx(second["ifd"], abs=1e-6)


def test_max_length_cuts_and_says_so(
    mixed: Path, tmp_path: Path, tiny_student_folder: Path
) -> None:
    options = {"student": str(tiny_student_folder), "max_length": 16}
    run(mixed, tmp_path / "out.jsonl", **options)
    line = read(tmp_path / "out.jsonl")[0]

    assert (line["status"], line["reason"], line["truncated"]) == ("unscorable", "truncated", True)


def test_a_context_shorter_than_asked_for_is_said(
    mixed: Path, tmp_path: Path, tiny_student_folder: Path
) -> None:
    options = {"student": str(tiny_student_folder), "max_length": 4096}

    assert "context ends at 2048 tokens" in run(mixed, tmp_path / "out.jsonl", **options)


@pytest.mark.real_model
@pytest.mark.timeout(900)  # some 35 seconds of CPU, on cores that others may be using
@pytest.mark.parametrize("template", ["vicuna", "alpaca"])
def test_golden_pairs_agree_with_the_published_script(template: str, tmp_path: Path) -> None:
    golden = golden_pairs()
    run(GOLDEN_PAIRS, tmp_path / "out.jsonl", template=template)
    lines = read(tmp_path / "out.jsonl")

    assert len(lines) == len(golden) == 24
    for line, row in zip(lines, golden, strict=True):
        expected = row["expected"][template]
        assert {name: line[name] for name in expected} == pytest.approx(expected, abs=1e-4)
        assert line["status"] == ("scored" if expected["ifd"] else "unscorable")
    [unscorable] = [line for line in lines if line["status"] == "unscorable"]
    assert unscorable["reason"] == "too_short"
    assert unscorable["response_tokens"] == 1
    assert unscorable["r_ifd"] is not None


# -- What it refuses ------------------------------------------------------------------------------
def refused(source: Path, target: Path, **options: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(source, target, **options)
    return caught.value


def test_what_cannot_be_is_said_before_a_model_is_loaded(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    errors = [
        refused(tmp_path / "nothing.json", out),
        refused(mixed, tmp_path / "no folder" / "out.jsonl"),
        refused(mixed, tmp_path),
        refused(mixed, out, student=str(tmp_path / "no model")),
    ]

    assert [error.returncode for error in errors] == [2, 2, 2, 2]
    assert str(errors[0]) == f"There is no file {tmp_path / 'nothing.json'}."
    assert "There is no student at" in str(errors[3])
    assert list(tmp_path.iterdir()) == [mixed]


@pytest.mark.parametrize("content", [b"", b"PK\3\4 zip", b"\xff\xfe", b'["a", "b"]'])
def test_a_file_without_records_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_bytes(content)

    error = refused(source, tmp_path / "out.jsonl", student="nowhere")

    assert error.returncode == 1
    assert str(error).startswith(f"{source}: ")
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_breaks_off_leaves_the_old_answer(
    tmp_path: Path, tiny_student_folder: Path
) -> None:
    source, target = tmp_path / "in.json", tmp_path / "out.jsonl"
    record = json.dumps({"instruction": "Name a colour.", "output": "Blue it is."})
    source.write_text(f"[{record}, {record}")
    target.write_text("the old answer")

    error = refused(source, target, student=str(tiny_student_folder))

    assert str(source) in str(error)
    assert target.read_text() == "the old answer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.json", "out.jsonl"]


def test_an_answer_may_take_the_place_of_the_question(
    mixed: Path, tiny_student_folder: Path
) -> None:
    run(mixed, mixed, student=str(tiny_student_folder))

    assert [line["index"] for line in read(mixed)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing.json", "-o", "out.jsonl"], 2, "CommandError: There is no file nothing.json."),
        (["in.json"], 2, "the following arguments are required: -o/--output"),
        (["in.json", "-o", "out.jsonl", "--max-length", "1"], 2, "'1' is not a number of tokens"),
        (["in.json", "-o", "out.jsonl", "--template", "llama"], 2, "invalid choice: 'llama'"),
        (["in.json", "-o", "out.jsonl"], 1, "CommandError: in.json: "),
    ],
)
def test_exit_codes(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("")
    result = subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "score", *arguments],
        cwd=tmp_path,
        env=os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.processes
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_half_way_it_leaves_nothing(
    how: signal.Signals, tmp_path: Path, tiny_student_folder: Path
) -> None:
    source = tmp_path / "in.jsonl"
    line = json.dumps({"instruction": "Name a colour.", "output": "Blue it is."}) + "\n"
    source.write_text(line * 1_000_000)
    command = ["score", str(source), "-o", str(tmp_path / "out.jsonl"), "--dtype", "float32"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), *command, "--student", tiny_student_folder],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        loaded = any("INFO refinement.method.student" in line for line in process.stderr)
        assert loaded, "it ended before it was at work"
        process.send_signal(how)
        said = process.stderr.read()

    assert process.returncode == 130
    assert "Stopped; " in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == [source]


# -- Its parts ------------------------------------------------------------------------------------
def record(characters: int = 10) -> Record:
    return Record(1, Pair("x", "y" * (characters - 1)), {}, (), 0)


def test_records_are_taken_in_chunks_and_no_further() -> None:
    taken = 0

    def endless() -> Iterator[Record | Rejected]:
        nonlocal taken
        while True:
            taken += 1
            yield record()

    chunks = in_chunks(endless())

    assert len(next(chunks)) == CHUNK_RECORDS
    assert taken == CHUNK_RECORDS
    assert len(next(chunks)) == CHUNK_RECORDS


def test_long_records_make_small_chunks() -> None:
    long = record(CHUNK_CHARACTERS // 2)

    assert [len(chunk) for chunk in in_chunks([long] * 5)] == [2, 2, 1]
    assert [len(chunk) for chunk in in_chunks([record()] * (CHUNK_RECORDS + 1))] == [
        CHUNK_RECORDS,
        1,
    ]
    assert list(in_chunks([])) == []


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), written_at_once(tmp_path / "out") as file:
        file.write("half")
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True

    def write(self, text: str, ending: str = "\n") -> int:
        return super().write(text + ending)


def test_where_somebody_watches_one_line_changes() -> None:
    terminal = Terminal()
    progress = Progress(terminal, 200)
    progress.add(["scored", "rejected"], 50)
    progress.add(["scored"], 200)
    progress.finish(Path("out.jsonl"))

    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown[1].startswith("2 records, 25% of the file, ")
    assert shown[2].startswith("3 records, 100% of the file, ")
    assert shown[3].startswith("out.jsonl: 3 records (2 scored, 1 rejected), ")
    assert terminal.getvalue().count("\n") == 1
