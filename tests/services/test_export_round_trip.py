"""In and out again, without a run: every record of every format comes back, field for field."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets as hf_datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinement.formats.writing.containers import plain_cell
from refinement.formats.writing.targets import TARGETS
from refinement.models import Dataset, Project
from refinement.services.datasets import create_dataset, start_import
from refinement.services.dispatch import delivered_to
from refinement.services.exports import export_to_folder
from refinement.services.importing import import_dataset
from tests.formats.test_alpaca import RECORDS, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import SettingsWrapper

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SAID = TEXT.filter(str.strip)
FURTHER = st.dictionaries(
    TEXT.map("x_{}".format),
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
)
SHAREGPT_TURN = st.fixed_dictionaries(
    {"from": st.sampled_from(["human", "gpt", "system", "function_call", "observation"])},
    optional={"weight": st.integers(0, 1)},
).flatmap(lambda turn: SAID.map(lambda text: {**turn, "value": text}))
CONTENT = SAID | SAID.map(lambda text: [{"type": "text", "text": text}])
MESSAGE = st.builds(
    lambda role, content, more: {"role": role, "content": content, **more},
    st.sampled_from(["user", "assistant", "system", "tool"]),
    CONTENT,
    FURTHER,
)
SHAPES = {
    "alpaca": RECORDS,
    "sharegpt": st.builds(
        lambda turns, more: {**more, "conversations": turns},
        st.lists(SHAREGPT_TURN, min_size=1, max_size=5),
        FURTHER,
    ),
    "messages": st.builds(
        lambda turns, more: {"messages": turns, **more},
        st.lists(MESSAGE, min_size=1, max_size=5),
        FURTHER,
    ),
    "prompt": st.builds(
        lambda prompt, completion, more: {"completion": completion, **more, "prompt": prompt},
        SAID,
        TEXT,
        FURTHER,
    ),
}


@pytest.fixture(autouse=True)
def nobody_is_woken() -> Iterator[None]:
    """The tests do the work themselves, without a broker to wait for."""
    with delivered_to(lambda *_: None):
        yield


@pytest.fixture
def project(transactional_db: None, tmp_path: Path, settings: SettingsWrapper) -> Project:
    settings.MEDIA_ROOT = tmp_path / "files"
    return Project.objects.create(name="Round trip")


def imported(project: Project, content: bytes, name: str = "any.jsonl", **given: Any) -> Dataset:
    dataset = create_dataset(
        project=project,
        name="",
        upload=ContentFile(content),
        filename=name,
        user=None,
        draft=bool(given),
    )
    if given:
        start_import(dataset=dataset, **given)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.error, dataset.rejected_count) == ("ready", "", 0)
    return dataset


def lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def left(dataset: Dataset, folder: Path, **options: Any) -> Path:
    manifest = export_to_folder(dataset=dataset, folder=folder, options=options)
    return folder / str(manifest["files"][0]["name"])


def read(path: Path) -> list[Any]:
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        found: list[Any] = json.loads(text)
        return found
    return [json.loads(line) for line in text.split("\n")[:-1]]


@pytest.mark.parametrize("turns", ["last", "every"])
@pytest.mark.parametrize("shape", SHAPES)
@settings(
    max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_every_record_comes_back(
    shape: str, turns: str, project: Project, tmp_path_factory: Any, data: st.DataObject
) -> None:
    records = data.draw(st.lists(SHAPES[shape], min_size=1, max_size=6))
    dataset = imported(project, lines(records), format=shape, options={"turns": turns})
    container = data.draw(st.sampled_from(["json", "jsonl"]))
    path = left(dataset, tmp_path_factory.mktemp("out") / "export", container=container)
    assert exact(read(path)) == exact(records)


# -- Tables ---------------------------------------------------------------------------------------
TABLE = [
    {"id": 1, "instruction": "Ä \u2028", "input": "", "output": "=1+1", "tags": ["a"], "x": 0.5},
    {"id": 2, "instruction": "-b", "input": "i", "output": "", "tags": [], "x": None},
]


def test_parquet_comes_back_as_parquet(project: Project, tmp_path: Path) -> None:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(TABLE), file)
    dataset = imported(project, file.getvalue(), "table.parquet")
    path = left(dataset, tmp_path / "out", container="parquet")
    assert pq.read_table(path).to_pylist() == TABLE
    loaded = hf_datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded["train"]) == TABLE


@pytest.mark.parametrize("container", ["csv", "csv_exact"])
def test_csv_comes_back_as_csv(project: Project, tmp_path: Path, container: str) -> None:
    rows = [
        ["instruction", "input", "output", "n"],
        ["=a", "", "- b\r\nc", "1"],
        ["'+", "i", "", ""],
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    dataset = imported(project, text.getvalue().encode(), "table.csv")
    path = left(dataset, tmp_path / "out", container=container)
    back = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    if container == "csv":
        assert back != rows
        back = [[plain_cell(cell) for cell in row] for row in back]
    assert back == rows


# -- Real files -----------------------------------------------------------------------------------
CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"Question {n}?"},
            {"role": "assistant", "content": f"Answer {n}."},
            {"role": "user", "content": "And then?"},
            {"role": "assistant", "content": "Then that."},
        ],
        "id": n,
    }
    for n in range(40)
] + [{"messages": [{"role": "user", "content": "Nobody answers."}], "id": 40}]


@pytest.mark.parametrize("turns", ["last", "every"])
def test_a_chat_stays_whole_and_in_one_file(project: Project, tmp_path: Path, turns: str) -> None:
    dataset = imported(project, lines(CHATS), format="messages", options={"turns": turns})
    assert dataset.kept_count == 1
    left(dataset, tmp_path / "out", validation_percent=30)
    train, validation = (read(tmp_path / "out" / f"{n}.jsonl") for n in ("train", "validation"))
    assert validation
    assert exact(sorted(train + validation, key=lambda chat: chat["id"])) == exact(CHATS)


def test_its_pairs_are_not_torn_apart_by_the_split(project: Project, tmp_path: Path) -> None:
    dataset = imported(project, lines(CHATS), format="messages", options={"turns": "every"})
    left(dataset, tmp_path / "out", shape="alpaca", validation_percent=30)
    train, validation = (read(tmp_path / "out" / f"{n}.jsonl") for n in ("train", "validation"))
    assert len(train) + len(validation) == 80
    assert not {pair["id"] for pair in train} & {pair["id"] for pair in validation}


@pytest.mark.parametrize("shape", [name for name, t in TARGETS.items() if not t.preference])
def test_any_shape_keeps_the_further_fields(project: Project, tmp_path: Path, shape: str) -> None:
    records = [{"id": 7, "instruction": "a", "output": "b", "tags": ["x"], "messages": "taken"}]
    dataset = imported(project, lines(records))
    (record,) = read(left(dataset, tmp_path / "out", shape=shape))
    assert (record["id"], record["tags"]) == (7, ["x"])
    taken = "original_messages" if shape == "messages" else "messages"
    assert record[taken] == "taken"


def test_the_command_exports_a_dataset(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = imported(project, lines(CHATS))
    out = tmp_path / "out"
    call_command("export_dataset", "--dataset", str(dataset.pk), "-o", f"{out}/", "--seed", "3")
    assert capsys.readouterr().out.startswith(f"{out}/train.jsonl: 41 rows\n")
    assert exact(read(out / "train.jsonl")) == exact(CHATS)
    assert {path.name for path in out.iterdir()} == {
        "train.jsonl",
        "README.md",
        "dataset_info.json",
        "manifest.json",
    }


# -- Columns, nested fields, and the real files ----------------------------------------------------
QUESTIONS = [
    {"n": 1, "question": "When?", "context": "It opened in 1894.", "answer": "In 1894.", "z": None},
    {"question": "Why?", "answer": "", "extra": {"deep": [1, {"b": "\u2028"}]}},
]
NESTED = [
    {
        "id": f"seed_{n}",
        "instruction": f"Sort {n}.",
        "instances": [{"input": "b a", "output": "a b", "score": 1.0}, {"output": "kept"}],
        "meta": {"by": "hand"},
    }
    for n in range(3)
]
PATHS = {
    "instruction": "instruction",
    "input": "instances[0].input",
    "output": "instances[0].output",
}


@pytest.mark.parametrize(
    ("records", "given"),
    [
        (QUESTIONS, {}),
        (QUESTIONS, {"format": "question", "mapping": {"input": ""}}),
        (NESTED, {}),
        (NESTED, {"format": "fields", "mapping": PATHS}),
        (NESTED, {"format": "fields", "mapping": PATHS | {"output": "meta.by"}}),
    ],
)
def test_mapped_fields_come_back_in_their_places(
    project: Project, tmp_path: Path, records: list[dict[str, Any]], given: dict[str, Any]
) -> None:
    dataset = imported(project, lines(records), **given)
    assert dataset.format == ("question" if records is QUESTIONS else "fields")
    assert exact(read(left(dataset, tmp_path / "out"))) == exact(records)


DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("alpaca_cherry_3k.json", "alpaca"),
        ("self_instruct_seed_tasks.jsonl", "fields"),
        ("messages_typed_content.jsonl", "messages"),
    ],
)
def test_real_files_come_back(
    project: Project, tmp_path: Path, name: str, shape: str, container: str
) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"shared/data/{name} does not lie beside the repository")
    text = path.read_text("utf-8")
    there = json.loads(text) if text[0] == "[" else [json.loads(row) for row in text.splitlines()]
    dataset = imported(project, path.read_bytes(), name)
    assert (dataset.format, dataset.record_count) == (shape, len(there))
    out = left(dataset, tmp_path / "out", container=container)
    if container == "jsonl":
        assert exact(read(out)) == exact(there)
    else:
        assert pq.read_table(out).num_rows == len(there)
