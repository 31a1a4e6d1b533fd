"""Starting a run, watching it, steering it, and what failed in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.urls import reverse

from refinement.method.specs import PolicySpec
from refinement.models import Run, RunSample, Student
from tests.web.conftest import House, alive

if TYPE_CHECKING:
    from django.test import Client

HTMX = {"HX-Request": "true"}


def start(house: House, student: Student, /, client: Client | None = None, **changes: Any) -> Any:
    """Send the form as a browser does that changed nothing but what is named."""
    fields = {
        "token": str(uuid4()),
        "dataset": house.dataset.pk,
        "limit": "",
        "teacher": house.room.run.teacher.pk,
        "protocol": "",
        "student": student.pk,
        "template": "",
        "require_response_accepted": "on",
        "policy_name": "paper",
        "max_ifd": "1",
        "max_r_ifd": "1",
        "name": "",
    }
    fields = {k: v for k, v in (fields | changes).items() if v is not None}
    url = reverse("run-new", args=[house.room.project.pk])
    return (client or house.visitor("owner")).post(url, fields)


def page(house: House, name: str = "run", who: str = "owner", query: str = "") -> str:
    url = reverse(name, args=[house.room.run.pk]) + query
    return house.visitor(who).get(url).content.decode()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# -- Starting -------------------------------------------------------------------------------------


def test_the_form_offers_what_there_is(house: House, student: Student) -> None:
    url = reverse("run-new", args=[house.room.project.pk])
    text = house.visitor("owner").get(url, {"dataset": house.dataset.pk}).content.decode()
    for offered in ("Tips (2 pairs)", "House teacher", "On disk", "SmolLM2-135M (embedded)"):
        assert offered in text
    assert "No teacher worker and no student worker is alive now." in text
    alive("teacher", "student")
    text = house.visitor("owner").get(url).content.decode()
    assert "worker is alive now" not in text


def test_without_a_ready_dataset_the_form_says_so(house: House) -> None:
    house.dataset.status = "importing"
    house.dataset.save()
    url = reverse("run-new", args=[house.room.project.pk])
    text = house.visitor("owner").get(url).content.decode()
    assert "No dataset is ready" in text


def test_a_run_starts_with_all_that_was_chosen(house: House, student: Student) -> None:
    answer = start(
        house,
        student,
        name="Second pass",
        limit="1",
        protocol="staged",
        template="alpaca",
        max_ifd="",
    )
    run = Run.objects.latest("pk")
    assert answer["Location"] == reverse("run", args=[run.pk])
    assert (run.name, run.run_samples.count(), run.status) == ("Second pass", 1, "running")
    assert run.config["teacher"]["protocol"] == "staged"
    assert run.config["student"]["template"] == "alpaca"
    assert run.config["policy"] == PolicySpec(max_ifd=None).as_dict()
    assert run.created_by == house.room.owner


def test_the_defaults_are_the_registered_ones(house: House, student: Student) -> None:
    start(house, student)
    run = Run.objects.latest("pk")
    assert run.config["student"]["template"] == "vicuna"
    assert run.config["policy"]["max_ifd"] == 1.0
    assert run.name == "Tips by House teacher"


def test_one_form_sent_twice_starts_one_run(house: House, student: Student) -> None:
    client, token, before = house.visitor("owner"), str(uuid4()), Run.objects.count()
    first = start(house, student, client, token=token)
    second = start(house, student, client, token=token)
    assert Run.objects.count() == before + 1
    assert first["Location"] == second["Location"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dataset": "99999"}, "Choose a dataset of this project that is ready."),
        ({"dataset": "x"}, "Choose a dataset of this project that is ready."),
        ({"limit": "0"}, "greater than or equal to 1"),
        ({"limit": "many"}, "Enter a whole number."),
        ({"teacher": None}, "This field is required."),
        ({"teacher": "99999"}, "not one of the available choices"),
        ({"student": ""}, "This field is required."),
        ({"template": "mine"}, "not one of the available choices"),
        ({"protocol": "shout"}, "not one of the available choices"),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"token": ""}, "This form is out of date."),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    changes: dict[str, Any], complaint: str, house: House, student: Student
) -> None:
    before = Run.objects.count()
    answer = start(house, student, **changes)
    assert answer.status_code == 422
    assert complaint in answer.content.decode()
    assert Run.objects.count() == before


def test_a_student_that_is_not_there_is_said_before_the_run(house: House) -> None:
    missing = Student.objects.create(name="Gone", path="/nowhere/at/all")
    answer = start(house, missing)
    assert answer.status_code == 422
    assert "There is no student at &#x27;/nowhere/at/all&#x27;" in answer.content.decode()


def test_a_dataset_of_another_project_is_not_offered(house: House, student: Student) -> None:
    foreign = house.stranger.projects.get().datasets.get()
    foreign.sample_count = 3
    foreign.save()
    assert start(house, student, dataset=foreign.pk).status_code == 422


# -- Watching -------------------------------------------------------------------------------------


def test_the_page_tells_how_far_the_run_is(house: House) -> None:
    text = words(page(house))
    assert "Review 1 pair" in text
    assert "Done 1 of 2" in text
    assert "kept 1" in text
    assert "failed 1" in text
    assert "Response rewrites taken" in text


def test_the_fragment_is_the_page_without_its_frame(house: House) -> None:
    fragment = page(house, "run-progress")
    assert "<html" not in fragment
    assert "Review 1 pair" in fragment
    assert 'hx-trigger="every 2s"' in fragment


def test_a_poll_without_news_brings_nothing(house: House) -> None:
    client = house.visitor("owner", **HTMX)
    url = reverse("run-progress", args=[house.room.run.pk])
    seen = client.get(url).content.decode().partition("seen=")[2].partition('"')[0]
    assert client.get(url, {"seen": seen}).status_code == 204
    RunSample.objects.filter(state="failed").update(state="ready", error="")
    assert client.get(url, {"seen": seen}).status_code == 200


@pytest.mark.parametrize(
    ("status", "polls"),
    [("running", True), ("paused", True), ("complete", False), ("cancelled", False)],
)
def test_polling_stops_when_nothing_moves_any_more(status: str, polls: bool, house: House) -> None:
    Run.objects.filter(pk=house.room.run.pk).update(status=status)
    assert ("hx-trigger" in page(house, "run-progress")) == polls


def test_a_missing_worker_is_shown_where_it_is_missed(house: House) -> None:
    RunSample.objects.filter(state="failed").update(state="ready", error="")
    assert "No teacher worker is alive" in page(house)
    assert "No student worker is alive" not in page(house)
    alive("teacher")
    assert "worker is alive" not in page(house)


def test_a_run_that_is_over_misses_no_worker(house: House) -> None:
    Run.objects.filter(pk=house.room.run.pk).update(status="complete")
    assert "worker is alive" not in page(house)


def test_a_run_that_paused_itself_says_why(house: House) -> None:
    Run.objects.filter(pk=house.room.run.pk).update(
        status="paused", notice="Paused: the key was refused <401>."
    )
    text = page(house)
    assert "Paused: the key was refused &lt;401&gt;." in text
    assert "then resume the run" in text


def test_only_an_owner_sees_the_levers(house: House) -> None:
    levers = ("run-pause", "cancel-run", "run-retry")
    owner, reviewer = page(house), page(house, who="reviewer")
    assert all(reverse("run-pause", args=[1])[:5] in owner for _ in levers)
    for words_ in ("Pause</button>", "Cancel…", "Retry all"):
        assert words_ in owner
        assert words_ not in reviewer


# -- Steering -------------------------------------------------------------------------------------


def steer(house: House, name: str, **data: Any) -> str:
    url = reverse(name, args=[house.room.run.pk])
    answer = house.visitor("owner").post(url, data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def status(house: House) -> str:
    return Run.objects.get(pk=house.room.run.pk).status


def test_pause_resume_and_cancel(house: House) -> None:
    assert "Paused." in steer(house, "run-pause")
    assert status(house) == "paused"
    assert "The run goes on." in steer(house, "run-resume")
    assert status(house) == "running"
    assert "Cancelled." in steer(house, "run-cancel")
    assert status(house) == "cancelled"


def test_what_cannot_be_done_now_is_said(house: House) -> None:
    assert "Only a paused run can be resumed" in steer(house, "run-resume")
    steer(house, "run-cancel")
    assert "there is nothing to cancel" in steer(house, "run-cancel")
    assert "This run is cancelled" in steer(house, "run-retry")


def test_retry_all_and_retry_one(house: House) -> None:
    second = house.room.add(state="failed", error="Cut off.")
    assert "1 pair is tried again." in steer(house, "run-retry", run_sample=second.pk)
    assert RunSample.objects.get(pk=second.pk).state == "ready"
    assert RunSample.objects.filter(state="failed").count() == 1
    assert "1 pair is tried again." in steer(house, "run-retry")
    assert not RunSample.objects.filter(state="failed").exists()
    assert "Nothing to retry" in steer(house, "run-retry")


@pytest.mark.parametrize("number", ["x", "0", "99999", "-1"])
def test_a_pair_that_did_not_fail_here_retries_nothing(number: str, house: House) -> None:
    url = reverse("run-retry", args=[house.room.run.pk])
    answer = house.visitor("owner").post(url, {"run_sample": number})
    assert answer.status_code == 404
    assert RunSample.objects.filter(state="failed").count() == 1


# -- Failures -------------------------------------------------------------------------------------


def test_failures_come_with_their_reason_and_their_words(house: House) -> None:
    text = page(house, "run-failures")
    assert "The teacher declined to answer." in text
    assert words(text).count("Reflect on the instruction") == 1
    assert "Retry<span" in text
    assert "Retry<span" not in page(house, "run-failures", who="viewer")


def test_failures_can_be_narrowed_to_one_reason(house: House) -> None:
    RunSample.objects.filter(state="failed").update(error_reason="truncated", error="Cut at 512.")
    house.room.add(state="failed", error="Said no.")
    assert "Said no." not in page(house, "run-failures", query="?reason=truncated")
    assert "Cut at 512." in page(house, "run-failures", query="?reason=truncated")
    empty = page(house, "run-failures", query="?reason=<script>")
    assert "No pair fails for this reason any more." in empty
    assert "<script>" not in empty.partition("<main")[2]


def test_no_failure_is_a_state_too(house: House) -> None:
    RunSample.objects.filter(state="failed").update(state="ready", error="")
    assert "Nothing has failed" in page(house, "run-failures")


def test_what_failed_for_one_reason_is_retried_alone(house: House) -> None:
    failed = house.room.add(state="failed", error="Cut off.")
    RunSample.objects.filter(pk=failed.pk).update(error_reason="truncated")
    text = page(house)
    assert 'id="retry-truncated"' in text
    assert 'id="retry-refusal"' in text
    url = reverse("run-retry", args=[house.room.run.pk])
    house.visitor("owner").post(url, {"only_reason": "truncated"})
    states = house.room.run.run_samples.order_by("position").values_list("state", flat=True)
    assert list(states) == ["done", "failed", "ready"]
