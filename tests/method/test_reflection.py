"""Every protocol over the real client and a real server that misbehaves in its replies."""

import asyncio
import json
from pathlib import Path

import pytest

from refinement.method.errors import ReplyError
from refinement.method.pairs import Pair
from refinement.method.reflection import (
    PROTOCOLS,
    reflect_on_instruction,
    reflect_on_response,
)
from refinement.method.specs import TeacherSpec
from refinement.method.teacher import Teacher
from refinement.models.endpoint import Endpoint
from tests.fake_teacher import FakeTeacher, Settings

SAMPLES = Path(__file__).parents[2] / "refinement" / "demo" / "pairs.jsonl"
REQUESTS = {"staged": (3, 2), "tagged": (1, 1), "json_schema": (1, 1)}


@pytest.fixture
def server():
    with FakeTeacher() as server:
        yield server


def pair_with(marker):
    return Pair(
        instruction=f"Tell me about tea. {marker}", response="Tea is a drink.", input="green tea"
    )


def reflect(server, function, pair, protocol):
    spec = TeacherSpec(base_url=server.base_url, model="fake-teacher", protocol=protocol)

    async def go():
        teacher = Teacher(spec, first_wait=0.001)

        async def ask(*, step, messages, attempt, json_schema=None, max_tokens=None):
            return await teacher.ask(messages, json_schema=json_schema, max_tokens=max_tokens)

        try:
            return await function(pair, ask, protocol)
        finally:
            await teacher.aclose()

    return asyncio.run(go())


def test_the_protocols_are_those_that_an_endpoint_can_have():
    assert set(PROTOCOLS) == set(Endpoint.Protocol.values)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_good_teacher_gives_both_candidates(server, protocol):
    pair = pair_with("")
    first = reflect(server, reflect_on_instruction, pair, protocol)
    asked = len(server.state.requests)
    second = reflect(server, reflect_on_response, pair, protocol)
    assert (asked, len(server.state.requests) - asked) == REQUESTS[protocol]
    for reflection in (first, second):
        assert reflection.criticism
        assert reflection.pair.response not in {"", pair.response}
        assert reflection.pair.input == pair.input
    assert first.pair.instruction not in {"", pair.instruction}
    assert second.pair.instruction == pair.instruction


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["empty", "null", "cut", "refuse", "refusal field", "filter"])
def test_one_bad_reply_is_made_good_by_a_second_question(server, protocol, kind):
    reflection = reflect(server, reflect_on_response, pair_with(f"[[{kind} once]]"), protocol)
    assert reflection.pair.response
    misdeeds = [entry["misdeed"] for entry in server.state.requests]
    # A criticism may be cut: that costs no second question.
    good = kind == "cut" and protocol == "staged"
    assert len(misdeeds) == REQUESTS[protocol][1] + (not good)
    assert misdeeds[0] == kind


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty"),
        ("refuse", "refusal"),
        ("refusal field", "refusal"),
        ("cut", "truncated"),
        ("filter", "filtered"),
        ("moderation", "filtered"),
        ("chatter", "unparsable"),
    ],
)
def test_bad_replies_without_end_fail_with_their_reason(server, protocol, kind, reason):
    with pytest.raises(ReplyError) as caught:
        reflect(server, reflect_on_response, pair_with(f"[[{kind}]]"), protocol)
    assert caught.value.reason == reason
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("protocol", ["tagged", "json_schema"])
def test_half_an_object_is_no_candidate(server, protocol):
    with pytest.raises(ReplyError) as caught:
        reflect(server, reflect_on_instruction, pair_with("[[malformed]]"), protocol)
    assert caught.value.reason == "unparsable"


def test_a_server_without_schemas_is_asked_for_tags():
    with FakeTeacher(Settings(no_response_format=True)) as server:
        reflection = reflect(server, reflect_on_instruction, pair_with(""), "json_schema")
        assert reflection.pair.instruction
        sent = ["response_format" in entry["request"] for entry in server.state.requests]
    assert sent == [True, False]


def test_transient_failures_are_invisible_in_the_reflection(server):
    pair = pair_with("[[429 once]] [[close once]]")
    assert reflect(server, reflect_on_instruction, pair, "staged").pair.response


class TestSamples:
    """The bundled sample dataset."""

    @pytest.fixture
    def records(self):
        return [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]

    def test_there_are_24_alpaca_records(self, records):
        assert len(records) == 24
        for record in records:
            assert {"instruction", "input", "output"} <= set(record)
            assert all(isinstance(record[key], str) for key in ("instruction", "input", "output"))
            assert record["instruction"]
            assert record["output"]

    def test_they_are_of_many_kinds(self, records):
        assert sum(bool(record["input"]) for record in records) >= 6
        assert any(len(record["output"].split()) == 1 for record in records)
        assert any(not record["output"].isascii() for record in records)
        assert any("source" in record for record in records)
        assert len({record["instruction"] for record in records}) == 24

    def test_the_first_is_quick(self, records):
        assert len(records[0]["instruction"]) + len(records[0]["output"]) < 80
