from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refinement.management.refine_setup import (
    command_line_project,
    find_dataset,
    find_run,
    find_student,
    find_teacher,
)
from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Endpoint, Membership, Project, Run, Student, User
from refinement.services import runs
from refinement.services.errors import ServiceError
from refinement.services.models_registry import create_endpoint

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wakes")]

URL = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"instruction": "Why?", "output": "So."}\n' * 3)
    return path


def the_run(path: Path, student_path: Path, **changes: Any) -> tuple[Run, bool]:
    project = command_line_project()
    options = {
        "dataset": find_dataset(project=project, path=path),
        "teacher": find_teacher(url=URL, model="m"),
        "student": find_student(path=str(student_path)),
        "policy": PolicySpec(),
        "protocol": "",
        "template": "vicuna",
        "limit": None,
        "budget": {"budget_tokens": None, "budget_cost": None},
    }
    return find_run(**(options | changes))


def test_admins_own_the_project_and_others_do_not_see_it() -> None:
    admin = User.objects.create_user("admin", is_staff=True)
    User.objects.create_user("somebody")
    assert command_line_project() == command_line_project()
    later = User.objects.create_user("later", is_staff=True)
    command_line_project()
    assert Project.objects.count() == 1
    owners = Membership.objects.filter(role="owner").values_list("user", flat=True)
    assert sorted(owners) == sorted([admin.pk, later.pk])


def test_the_same_options_find_the_same_teacher() -> None:
    first = find_teacher(url=f"{URL}/", model="m", max_concurrency=None)
    assert find_teacher(url=URL, model="m") == first
    other = find_teacher(url=URL, model="m", max_concurrency=3)
    assert other != first
    assert (other.name, other.max_concurrency) == ("m (2)", 3)
    assert find_teacher(url=URL, model="m", max_concurrency=3) == other


def test_a_teacher_that_an_admin_registered_is_used_with_its_prices() -> None:
    ours = create_endpoint(name="Ours", base_url=URL, model="m", price_prompt=2.0)
    assert find_teacher(url=URL, model="m", temperature=None) == ours
    assert Endpoint.objects.count() == 1


def test_the_same_path_finds_the_same_student(student_path: Path) -> None:
    assert find_student(path=str(student_path)) == find_student(path=str(student_path))
    assert Student.objects.get().name == student_path.name


def test_the_same_file_is_imported_once_under_any_name(pairs: Path) -> None:
    project = command_line_project()
    first = find_dataset(project=project, path=pairs)
    copy = pairs.with_name("copy.jsonl")
    copy.write_bytes(pairs.read_bytes())
    assert find_dataset(project=project, path=copy) == first
    assert (first.status, first.sample_count) == ("ready", 3)
    copy.write_text('{"instruction": "Another?", "output": "Yes."}\n')
    assert find_dataset(project=project, path=copy) != first


def test_an_import_that_was_killed_goes_on(pairs: Path) -> None:
    project = command_line_project()
    dataset = find_dataset(project=project, path=pairs)
    dataset.samples.filter(position__gt=0).delete()
    Dataset.objects.filter(pk=dataset.pk).update(
        status="importing", record_count=1, sample_count=1, lease_expires_at=dataset.created_at
    )
    again = find_dataset(project=project, path=pairs)
    assert (again, again.status, again.samples.count()) == (dataset, "ready", 3)


def test_a_file_without_a_usable_record_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "poor.jsonl"
    path.write_text('{"instruction": 1, "output": 2}\n')
    with pytest.raises(ServiceError, match=r"poor\.jsonl: None of the 1 records can be used"):
        find_dataset(project=command_line_project(), path=path)


def test_the_same_work_is_the_same_run(pairs: Path, student_path: Path) -> None:
    run, is_old = the_run(pairs, student_path)
    assert not is_old
    assert the_run(pairs, student_path) == (run, True)
    config = run.config | {"teacher": {**run.config["teacher"], "of_a_later_version": 1}}
    Run.objects.filter(pk=run.pk).update(config=config)
    assert the_run(pairs, student_path) == (run, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 2},
        {"protocol": "staged"},
        {"template": "alpaca"},
        {"policy": PolicySpec(max_ifd=None)},
    ],
)
def test_other_work_is_another_run(
    pairs: Path, student_path: Path, changes: dict[str, Any]
) -> None:
    run, _ = the_run(pairs, student_path)
    other, is_old = the_run(pairs, student_path, **changes)
    assert (other == run, is_old) == (False, False)
    assert the_run(pairs, student_path, **changes) == (other, True)


def test_a_cancelled_run_is_not_taken_up(pairs: Path, student_path: Path) -> None:
    run, _ = the_run(pairs, student_path)
    runs.cancel_run(run=run)
    other, is_old = the_run(pairs, student_path)
    assert (other == run, is_old) == (False, False)
