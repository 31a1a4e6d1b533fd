"""Coherence and places among subjects, by a real (tiny, random) encoder."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from transformers import BertConfig, BertModel, BertTokenizerFast

from refinement.method.encoder import Encoder
from refinement.method.errors import StudentError
from refinement.method.pairs import Pair
from refinement.method.specs import PolicySpec
from refinement.models import Embedding, PolicyChange, Run, Score, Verdict
from refinement.pipeline.embedding import embed_for_policy
from refinement.selectors.embeddings import embeddings_of
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import compare_policies
from refinement.services import policies
from refinement.services.deriving import derive
from refinement.services.errors import ServiceError
from tests.review_room import make_room
from tests.scored_run import fill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.review_room import Room


@pytest.fixture(scope="module")
def encoder_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz.?0123456789",
    ]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), intermediate_size=32, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def room(db: None) -> Room:
    return make_room()


def test_texts_are_unit_vectors_whatever_their_company(encoder_path: Path) -> None:
    encoder = Encoder.load(str(encoder_path), "cpu")
    texts = ["a short one", "", "a much longer one with many more words in it than the others have"]
    together = encoder.texts(texts)
    assert np.allclose(np.linalg.norm(together, axis=1), [1, 0, 1], atol=1e-5)
    assert np.allclose(encoder.texts(texts[:1])[0], together[0], atol=1e-5)


def test_coherence_is_the_cosine_of_both_halves(encoder_path: Path) -> None:
    encoder = Encoder.load(str(encoder_path), "cpu")
    same, empty = encoder.pairs([Pair("tides rise", "tides rise"), Pair("tides rise", " ")])
    assert same.coherence == pytest.approx(1)
    assert empty.coherence is None
    x, y = encoder.texts(["tides rise\nin spring", "bread too"])
    (other,) = encoder.pairs([Pair("tides rise", "bread too", input="in spring")])
    assert other.coherence == pytest.approx(float(x @ y), abs=1e-5)
    assert np.linalg.norm(other.vector.astype(float)) == pytest.approx(1, abs=1e-2)


def test_a_folder_without_a_model_is_refused_in_words(tmp_path: Path, room: Room) -> None:
    with pytest.raises(StudentError, match="There is no encoder at"):
        Encoder.load(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StudentError, match="cannot be loaded"):
        Encoder.load(str(tmp_path))
    run = fill(room, 2)
    spec = PolicySpec(name="coherence", encoder="/nowhere")
    with pytest.raises(ServiceError, match="There is no encoder at /nowhere"):
        policies.use_policy(run=run, policy=spec, user=room.owner)


def test_measuring_makes_coherence_a_policy_to_try(encoder_path: Path, room: Room) -> None:
    run = fill(room, 12)
    assert compare_policies(run_table(run), PolicySpec())["coherence"] is None
    call_command("embed", run=run.pk, encoder=encoder_path)
    assert Embedding.objects.count() == Score.objects.count() == 36
    report = compare_policies(run_table(run), PolicySpec(max_ifd=None, max_r_ifd=None))
    assert report["coherence"] is not None
    call_command("embed", run=run.pk, encoder=encoder_path)
    assert Embedding.objects.count() == 36
    with pytest.raises(CommandError, match="no run 999"):
        call_command("embed", run=999, encoder=encoder_path)


def test_a_policy_that_needs_it_is_measured_before_it_is_derived(
    encoder_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fill(room, 30)
    sent: list[str] = []
    monkeypatch.setattr("refinement.services.deriving.wake_now", lambda task, _: sent.append(task))
    monkeypatch.setattr("refinement.pipeline.embedding.wake_now", lambda task, _: sent.append(task))
    spec = PolicySpec(
        require_response_accepted=False,
        max_ifd=None,
        max_r_ifd=None,
        top_by="r_ifd",
        top_count=3,
        diverse=True,
        encoder=str(encoder_path),
    )
    policies.use_policy(run=run, policy=spec, user=room.owner)
    assert not derive(run.pk)
    embed_for_policy(run.pk, stopping=threading.Event())
    assert derive(run.pk)
    assert sent == ["refinement.embed", "refinement.derive"]
    assert Verdict.objects.filter(run_sample__run=run, kept=True).count() == 3
    assert "cover the better pairs widely" in Verdict.objects.filter(code="below_cut")[0].sentence


def test_vectors_come_back_in_the_order_that_was_asked(encoder_path: Path, room: Room) -> None:
    run = fill(room, 6)
    call_command("embed", run=run.pk, encoder=encoder_path)
    table = run_table(run)
    versions = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
    found = embeddings_of(run, table.ids[::-1], versions)
    score = Score.objects.get(run_sample=int(table.ids[5]), candidate=None)
    assert np.allclose(found[0], np.frombuffer(bytes(score.embedding.vector), np.float16))


def test_an_encoder_that_went_away_is_told_and_pauses_the_run(room: Room, tmp_path: Path) -> None:
    run = fill(room, 3)
    (tmp_path / "config.json").write_text("{}")
    spec = PolicySpec(name="coherence", encoder=str(tmp_path))
    change = policies.use_policy(run=run, policy=spec, user=room.owner)
    (tmp_path / "config.json").unlink()
    Run.objects.filter(pk=run.pk).update(status="running")
    embed_for_policy(run.pk, stopping=threading.Event())
    change = PolicyChange.objects.get(pk=change.pk)
    assert "There is no encoder at" in change.error
    assert policies.runs_to_derive() == []
    run.refresh_from_db()
    assert (run.status, "encoder" in run.notice) == ("paused", True)
