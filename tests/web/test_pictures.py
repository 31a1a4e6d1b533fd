"""A run in pictures, and what another policy would make of it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.urls import reverse

from refinement.method.specs import PolicySpec
from refinement.models import PolicyChange, Run, RunSample
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import outcome_of, what_if
from refinement.services.decisions import record_decision
from refinement.web.policy_forms import as_query, form_of
from refinement.web.policy_words import in_words
from tests.review_room import make_room
from tests.scored_run import fill, make_stray

if TYPE_CHECKING:
    from django.test import Client

    from tests.review_room import Room

pytestmark = pytest.mark.django_db
STRICT = PolicySpec(max_r_ifd=0.7)


@pytest.fixture
def room() -> Room:
    return make_room()


@pytest.fixture
def run(room: Room) -> Run:
    return fill(room, 40)


def get(client: Client, name: str, run: Run, query: str = "") -> str:
    answer = client.get(reverse(name, args=[run.pk]) + (f"?{query}" if query else ""))
    assert answer.status_code == 200
    return answer.content.decode()


def words(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture
def owner(client: Client, room: Room) -> Client:
    client.force_login(room.owner)
    return client


def test_every_picture_has_a_title_and_the_table_behind_it(owner: Client, run: Run) -> None:
    html = get(owner, "run-pictures", run)
    figures = re.findall(r"<figure.*?</figure>", html, re.DOTALL)
    assert len(figures) == 7
    assert all("<h2>" in figure for figure in figures)
    assert all("<table" in figure for figure in figures[:-1])
    assert "Nobody has decided a pair yet" in figures[-1]
    assert "style=" not in html


def test_slices_are_also_those_of_a_field_with_a_few_values(owner: Client, run: Run) -> None:
    text = words(get(owner, "run-pictures", run))
    assert re.search(
        r"Source Slice Share Count Percent books \d+ of 20 \d+ % letters \d+ of 20", text
    )


def test_the_bins_hold_every_pair(owner: Client, run: Run) -> None:
    html = get(owner, "run-pictures", run)
    table = re.search(r'data-figures="r-IFD".*?</table>', html, re.DOTALL)
    assert table
    rows = re.findall(r"<tr>(.*?)</tr>", table[0].split("<tbody>")[1], re.DOTALL)
    counts = [re.findall(r'data-value="([^"]*)"', row)[2:] for row in rows]
    assert [sum(int(n) for n in column) for column in zip(*counts, strict=True)] == [40, 40, 40]


def test_a_stray_squeezes_no_picture_and_is_in_its_last_bar(owner: Client, run: Run) -> None:
    pair = make_stray(run)
    html = get(owner, "run-pictures", run)
    table = re.search(r'data-figures="IFD".*?</table>', html, re.DOTALL)
    assert table
    last = table[0].split("<tr>")[-1]
    drawn = re.findall(r'data-value="([^"]*)"', last)
    assert float(drawn[1]) < 3
    link = re.search(r'href="([^"]*)"', last)
    assert link
    queue = owner.get(unescape(link[1]), follow=True).content.decode()
    listed = set(re.findall(r"/review/(\d+)\?", queue))
    assert str(pair.pk) in listed
    assert len(listed) == int(drawn[-1])


def test_without_a_judged_pair_the_page_says_what_will_be_there(owner: Client, room: Room) -> None:
    assert "No pair is judged yet" in get(owner, "run-pictures", room.run)
    assert "0" in words(get(owner, "run-what-if", room.run))


def test_the_answer_counts_what_would_turn(owner: Client, run: Run) -> None:
    promised = what_if(run, run_table(run), STRICT)
    assert promised.lost > 0
    text = words(get(owner, "run-what-if", run, as_query(STRICT)))
    assert f"{promised.then.kept} kept −{promised.lost} of 40" in text
    assert f"verdicts turn {promised.flips} +0 −{promised.lost}" in text
    own = words(get(owner, "run-what-if", run, as_query(PolicySpec())))
    assert "This is the run's policy" in own


def test_a_policy_that_makes_no_sense_is_answered_with_a_sentence(owner: Client, run: Run) -> None:
    for query, sentence in (
        ("what=if&policy_name=best", "not one of the available choices"),
        ("what=if&policy_name=paper&max_ifd=-1", "greater than or equal to"),
        ("what=if&policy_name=paper&top=percent", "Say how many."),
        ("what=if&policy_name=paper&top=count&top_amount=2.5", "whole number"),
        ("what=if&policy_name=coherence", "encoder model"),
        ("what=if&policy_name=always_instruction&require_response_accepted=on", "keep nothing"),
    ):
        assert sentence in words(get(owner, "run-what-if", run, query))
        assert sentence in words(get(owner, "run-pictures", run, query))


def test_show_me_those_lists_them_with_both_verdicts(owner: Client, run: Run) -> None:
    table = run_table(run)
    now, then = outcome_of(table, PolicySpec()), outcome_of(table, STRICT)
    turned = table.ids[now.kept != then.kept]
    row = RunSample.objects.get(pk=int(turned[0]))
    person = run.project.memberships.first().user
    record_decision(run_sample=row, user=person, action="original")
    queue = re.search(
        r'id="show-flips"[^>]*href="([^"]+)"', get(owner, "run-what-if", run, as_query(STRICT))
    )
    assert queue
    shown = owner.get(unescape(queue[1]), follow=True)
    listed = re.findall(
        rf'class="line[^"]*" href="/runs/{run.pk}/review/(\d+)', shown.content.decode()
    )
    assert set(listed) == {str(pk) for pk in turned}
    assert "would turn under “The paper's: response taken, IFD below 1, r-IFD below 0.7”" in words(
        shown.content.decode()
    )
    html = get(owner, "run-flips", run, as_query(STRICT))
    assert set(re.findall(rf"/runs/{run.pk}/review/(\d+)", html)) == {str(pk) for pk in turned}
    assert "drops it" in html
    against = get(owner, "run-flips", run, as_query(STRICT) + "&against=1")
    assert set(re.findall(rf"/runs/{run.pk}/review/(\d+)", against)) == {str(row.pk)}
    assert "1 pair would turn against people's decisions" in words(against)


def test_use_this_makes_it_the_runs_policy_and_says_so(owner: Client, run: Run) -> None:
    form = dict(re.findall(r"([^&=]+)=([^&]*)", as_query(STRICT)))
    answer = owner.post(reverse("run-policy", args=[run.pk]), form, follow=True)
    text = words(answer.content.decode())
    assert "It is the run's policy now." in text
    assert "The verdicts are being brought to the present policy." in text
    change = PolicyChange.objects.get(run=run)
    assert PolicySpec.from_dict(change.policy) == STRICT
    again = owner.post(reverse("run-policy", args=[run.pk]), form, follow=True)
    assert "already" in words(again.content.decode())


def test_only_owners_change_the_policy(client: Client, room: Room, run: Run) -> None:
    client.force_login(room.reviewer)
    assert "Use this" not in get(client, "run-what-if", run, as_query(STRICT))
    answer = client.post(reverse("run-policy", args=[run.pk]), {"policy_name": "paper"})
    assert answer.status_code in (403, 404)
    assert not PolicyChange.objects.exists()


def test_strangers_see_nothing(client: Client, run: Run) -> None:
    client.force_login(make_room("Elsewhere").owner)
    for name in ("run-pictures", "run-what-if", "run-points", "run-flips"):
        assert client.get(reverse(name, args=[run.pk])).status_code == 404


def test_the_points_are_the_table_in_binary(owner: Client, run: Run) -> None:
    body = owner.get(reverse("run-points", args=[run.pk])).content
    n = len(body) // 13
    table = run_table(run)
    ifd = table.columns.read
    expected = ifd(1)("ifd") - ifd(0)("ifd")
    assert n == 40
    assert np.allclose(np.frombuffer(body, "<f4", n), expected, equal_nan=True, atol=1e-6)
    assert np.frombuffer(body, "<u4", n, 8 * n).tolist() == table.ids.tolist()
    kept = outcome_of(table, PolicySpec()).kept
    assert ((np.frombuffer(body, "u1", n, 12 * n) > 0) == kept).all()


@pytest.mark.parametrize(
    "spec",
    [
        PolicySpec(),
        STRICT,
        replace(STRICT, max_ifd=None, require_response_accepted=False),
        PolicySpec(name="random", seed=9),
        PolicySpec(top_by="r_ifd", top_count=12),
        PolicySpec(top_by="ifd", top_percent=2.5, diverse=True, encoder="/models/encoder"),
    ],
)
def test_a_policy_survives_its_address(spec: PolicySpec) -> None:
    from django.http import QueryDict

    form = form_of(QueryDict(as_query(spec)), PolicySpec())
    assert form.is_valid(), form.errors
    assert form.policy() == spec


def test_a_policy_in_words() -> None:
    spec = PolicySpec(max_r_ifd=0.9, top_by="ifd", top_percent=2.0)
    assert in_words(spec) == (
        "The paper's: response taken, IFD below 1, r-IFD below 0.9, the best 2 % by IFD"
    )
    bare = PolicySpec("random", False, None, None, seed=3)
    assert in_words(bare) == "By chance (seed 3): every pair"
