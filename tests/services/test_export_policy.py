"""An export under another policy: what using the policy would give, and nothing is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refinement.method.specs import PolicySpec
from refinement.models import Verdict
from refinement.services import policies
from refinement.services.decisions import record_decision
from refinement.services.deriving import derive
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.export_counts import count_leaving
from refinement.services.exports import create_export, export_to_folder
from tests.review_room import make_room
from tests.scored_run import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from refinement.models import Run
    from tests.review_room import Room

STRICT = PolicySpec(max_r_ifd=0.7)


@pytest.fixture(autouse=True)
def nobody_is_woken() -> Iterator[None]:
    with delivered_to(lambda *_: None):
        yield


@pytest.fixture
def room(transactional_db: None, tmp_path: Path, settings: SettingsWrapper) -> Room:
    settings.MEDIA_ROOT = tmp_path / "files"
    return make_room()


def decide(room: Room) -> None:
    """One decision of every kind; the accepted ones stand whatever policy comes."""
    rows = list(room.run.run_samples.order_by("position"))
    for row, action in zip(rows, ["accept", "original", "drop", "accept"], strict=False):
        record_decision(run_sample=row, user=room.reviewer, action=action)


def verdicts(run: Run) -> list[tuple[Any, ...]]:
    return list(Verdict.objects.filter(run_sample__run=run).order_by("pk").values_list())


def written(run: Run, folder: Path, **options: Any) -> tuple[dict[str, Any], bytes]:
    manifest = export_to_folder(run=run, folder=folder, options=options)
    return manifest, (folder / "train.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (STRICT, {"columns": ["scores", "verdict", "decision"]}),
        (PolicySpec(name="always_instruction", require_response_accepted=False), {}),
        (PolicySpec(name="grape", top_by="ifd", top_percent=20.0), {"include": "all"}),
        (PolicySpec(max_ifd=None, max_r_ifd=None), {"shape": "dpo_alpaca"}),
    ],
)
def test_it_is_what_using_the_policy_gives(
    room: Room, tmp_path: Path, spec: PolicySpec, options: dict[str, Any]
) -> None:
    run = fill(room, 40)
    decide(room)
    before = verdicts(run)
    own, _ = written(run, tmp_path / "own", **options)
    manifest, content = written(run, tmp_path / "if", policy=spec.as_dict(), **options)
    assert verdicts(run) == before
    assert manifest["options"]["policy"] == manifest["policy"] == spec.as_dict()
    assert own["policy"] == PolicySpec().as_dict()
    leaving = count_leaving(run=run, options={"policy": spec.as_dict()})
    assert (leaving.rows, leaving.exact) == (manifest["counts"]["kept"], False)

    policies.use_policy(run=run, policy=spec, user=room.owner)
    assert derive(run.pk)
    used, used_content = written(run, tmp_path / "used", **options)
    assert content == used_content
    for figure in ("counts", "means", "decisions", "left_out", "policy"):
        assert manifest[figure] == used[figure]


def test_it_is_not_what_the_run_keeps(room: Room, tmp_path: Path) -> None:
    run = fill(room, 40)
    _, own = written(run, tmp_path / "own")
    _, other = written(run, tmp_path / "other", policy=STRICT.as_dict())
    assert 0 < len(other) < len(own)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"name": "worst"}, "worst"),
        ({"colour": "red"}, "A policy has no “colour” of 'red'."),
        ({"max_ifd": "low"}, "A policy has no “max_ifd” of 'low'."),
        ({"max_ifd": -1.0}, "-1"),
        ({"name": "coherence", "encoder": "/nowhere"}, "There is no encoder at /nowhere"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    room: Room, policy: dict[str, Any], said: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        create_export(run=room.run, user=room.owner, options={"policy": policy})
    assert said in str(caught.value)


def test_a_dataset_has_no_policy(room: Room) -> None:
    dataset = room.run.dataset
    dataset.status = "ready"
    with pytest.raises(ServiceError, match="come from a run"):
        create_export(dataset=dataset, user=room.owner, options={"policy": STRICT.as_dict()})
