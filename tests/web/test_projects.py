"""The list of projects, one project, and its people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from refinement.models import Membership, Project, Run
from tests.review_room import make_room

if TYPE_CHECKING:
    from django.test import Client

    from tests.web.conftest import House


def test_the_list_shows_my_projects_and_no_others(house: House) -> None:
    text = house.visitor("viewer").get("/").content.decode()
    assert "Cooking" in text
    assert "Elsewhere" not in text


def test_an_empty_list_says_what_to_do(house: House) -> None:
    text = house.visitor("staff").get("/").content.decode()
    assert "Create your first project" in text
    assert "ask" in text.lower()


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as context:
        assert client.get(url).status_code == 200
    return len(context)


def test_the_list_takes_the_same_queries_for_any_number_of_projects(house: House) -> None:
    client = house.visitor("viewer")
    few = queries(client, "/")
    for number in range(5):
        room = make_room(f"Project {number}")
        Membership.objects.create(project=room.project, user=house.room.viewer, role="viewer")
    assert queries(client, "/") == few
    assert client.get("/").content.decode().count("running</span>") == 6


def test_a_new_project_belongs_to_who_made_it(house: House) -> None:
    answer = house.visitor("staff").post(reverse("project-new"), {"name": "  Law  "}, follow=True)
    project = Project.objects.get(name="Law")
    assert answer.redirect_chain[-1][0] == reverse("project", args=[project.pk])
    assert house.user("staff").memberships.get().role == "owner"
    assert "Upload a dataset" in answer.content.decode()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "This field is required"),
        ("   ", "This field is required"),
        ("x" * 121, "at most 120 characters"),
        ("a\x00b", "Null characters are not allowed"),
    ],
)
def test_a_name_that_will_not_do(name: str, complaint: str, house: House) -> None:
    before = Project.objects.count()
    answer = house.visitor("owner").post(reverse("project-new"), {"name": name})
    assert answer.status_code == 422
    assert complaint in answer.content.decode()
    assert Project.objects.count() == before


def test_an_owner_renames_the_project(house: House) -> None:
    url = reverse("project-rename", args=[house.room.project.pk])
    text = house.visitor("owner").post(url, {"name": "Baking"}, follow=True).content.decode()
    assert "<h1>Baking</h1>" in text


def test_the_page_shows_datasets_runs_and_people(house: House) -> None:
    url = reverse("project", args=[house.room.project.pk])
    text = house.visitor("viewer").get(url).content.decode()
    for words in ("Tips", "First pass", house.room.owner.username, "You are a viewer"):
        assert words in text
    for words in ("Upload a dataset", "Start a run", "Rename"):
        assert words not in text
    text = house.visitor("owner").get(url).content.decode()
    for words in ("Upload a dataset", "Start a run", "Rename", "You are an owner"):
        assert words in text


def test_the_page_takes_the_same_queries_for_any_number_of_runs(house: House) -> None:
    first, client = house.room.run, house.visitor("owner")
    url = reverse("project", args=[first.project.pk])
    client.get(url)  # the first visit is noted in the audit log
    few = queries(client, url)
    for number in range(5):
        Run.objects.create(
            project=first.project,
            dataset=first.dataset,
            teacher=first.teacher,
            student=first.student,
            name=f"Run {number}",
        )
    assert queries(client, url) == few


# -- People ---------------------------------------------------------------------------------------


def people(house: House) -> str:
    return reverse("project-members", args=[house.room.project.pk])


def test_an_owner_adds_somebody_by_name(house: House) -> None:
    answer = house.visitor("owner").post(
        people(house), {"username": " staff ", "role": "reviewer"}, follow=True
    )
    assert "staff is now reviewer of this project." in answer.content.decode()
    assert house.membership("staff").role == "reviewer"


@pytest.mark.parametrize(
    ("username", "role", "complaint"),
    [
        ("nobody-here", "viewer", "Nobody signs in as “nobody-here”"),
        ("", "viewer", "This field is required"),
        ("staff", "king", "Select a valid choice"),
        ("owner", "viewer", "is a member already, as owner"),
    ],
)
def test_somebody_who_cannot_be_added(
    username: str, role: str, complaint: str, house: House
) -> None:
    if username == "owner":
        username = house.room.owner.username
    answer = house.visitor("owner").post(people(house), {"username": username, "role": role})
    assert answer.status_code == 422
    assert complaint in answer.content.decode()
    assert house.room.project.memberships.count() == 3


def test_an_inactive_account_cannot_be_added(house: House) -> None:
    house.staff.is_active = False
    house.staff.save()
    answer = house.visitor("owner").post(people(house), {"username": "staff", "role": "viewer"})
    assert "Nobody signs in as" in answer.content.decode()


def role_url(house: House, who: str) -> str:
    return reverse("member-role", args=[house.room.project.pk, house.membership(who).pk])


def removal_url(house: House, who: str) -> str:
    return reverse("member-remove", args=[house.room.project.pk, house.membership(who).pk])


def test_a_role_is_changed(house: House) -> None:
    house.visitor("owner").post(role_url(house, "viewer"), {"role": "owner"})
    assert house.membership("viewer").role == "owner"


@pytest.mark.parametrize("role", ["", "king"])
def test_a_role_that_does_not_exist_changes_nothing(role: str, house: House) -> None:
    answer = house.visitor("owner").post(role_url(house, "viewer"), {"role": role}, follow=True)
    assert "Choose one of the roles" in answer.content.decode()
    assert house.membership("viewer").role == "viewer"


def test_the_last_owner_cannot_leave_nor_step_down(house: House) -> None:
    client = house.visitor("owner")
    for answer in (
        client.post(removal_url(house, "owner"), follow=True),
        client.post(role_url(house, "owner"), {"role": "viewer"}, follow=True),
    ):
        assert "is the last owner" in answer.content.decode()
    assert house.membership("owner").role == "owner"


def test_an_owner_leaves_once_there_is_another(house: House) -> None:
    client = house.visitor("owner")
    client.post(role_url(house, "reviewer"), {"role": "owner"})
    answer = client.post(removal_url(house, "owner"), follow=True)
    assert "You have left “Cooking”." in answer.content.decode()
    assert client.get(reverse("project", args=[house.room.project.pk])).status_code == 404


def test_a_viewer_leaves_but_removes_nobody_else(house: House) -> None:
    client = house.visitor("viewer")
    assert client.post(removal_url(house, "reviewer")).status_code == 403
    assert client.post(removal_url(house, "viewer"))["Location"] == "/"
    assert house.room.project.memberships.count() == 2


def test_a_membership_of_another_project_is_out_of_reach(house: House) -> None:
    foreign = Membership.objects.get(user=house.stranger)
    url = reverse("member-remove", args=[house.room.project.pk, foreign.pk])
    assert house.visitor("owner").post(url).status_code == 404
    assert Membership.objects.filter(pk=foreign.pk).exists()
