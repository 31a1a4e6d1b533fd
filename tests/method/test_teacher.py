"""The teacher against a real server on this machine that misbehaves in every way we know."""

import asyncio
import logging
import socket
from dataclasses import replace
from decimal import Decimal

import openai
import pytest

from refinement.method.connections import ABOUT_US, is_azure
from refinement.method.errors import (
    PermanentTeacherError,
    ReplyError,
    SchemaRefusedError,
    TeacherTimeoutError,
    TransientTeacherError,
)
from refinement.method.pairs import TeacherReply
from refinement.method.specs import TeacherSpec
from refinement.method.teacher import Teacher, check, cost, request_hash
from tests.fake_teacher import FakeTeacher, Settings

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def question(text):
    return [{"role": "user", "content": text}]


def spec_for(server, **changes):
    return replace(TeacherSpec(base_url=server.base_url, model="fake-teacher"), **changes)


def asked(server, *texts, json_schema=None, max_tokens=None, **changes):
    """The replies of one teacher to ``texts``, asked one after the other; then the teacher."""

    async def go():
        teacher = Teacher(spec_for(server, **changes), first_wait=0.001)
        try:
            replies = [
                await teacher.ask(question(text), json_schema=json_schema, max_tokens=max_tokens)
                for text in texts
            ]
        finally:
            await teacher.aclose()
        return replies, teacher

    return asyncio.run(go())


def reply_to(server, text, **options):
    return asked(server, text, **options)[0][0]


@pytest.fixture
def server():
    with FakeTeacher() as server:
        yield server


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_a_reply_has_text_reason_tokens_and_latency(server):
    reply = reply_to(server, "Why does ice float on water?")
    assert reply.text == server.state.requests[0]["reply"]
    assert reply.finish_reason == "stop"
    assert reply.model == "fake-teacher"
    assert reply.prompt_tokens == 6
    assert reply.completion_tokens == len(reply.text.split())
    assert reply.latency_seconds > 0


def test_the_smaller_token_limit_counts(server):
    asked(server, "one", max_tokens=50)
    asked(server, "two", max_tokens=9000)
    asked(server, "three")
    limits = [entry["request"]["max_tokens"] for entry in server.state.requests]
    assert limits == [50, 2048, 2048]


@pytest.mark.parametrize("kind", ["429", "500", "503", "close", "half", "no choices", "garbage"])
def test_what_may_pass_is_tried_again(server, kind):
    reply = reply_to(server, f"[[{kind} once]] Why?")
    assert reply.text
    assert [entry["misdeed"] for entry in server.state.requests] == [kind, ""]


@pytest.mark.parametrize("kind", ["429", "500", "503", "close", "half", "no choices", "garbage"])
def test_tries_are_bounded(server, kind):
    with pytest.raises(TransientTeacherError, match=server.base_url):
        reply_to(server, f"[[{kind}]] Why?", tries=3)
    assert len(server.state.requests) == 3


def test_nobody_listens(closed_port):
    spec = TeacherSpec(base_url=f"http://127.0.0.1:{closed_port}/v1", model="m", tries=2)

    async def go():
        teacher = Teacher(spec, first_wait=0.001)
        try:
            await teacher.ask(question("Hello?"))
        finally:
            await teacher.aclose()

    with pytest.raises(TransientTeacherError, match=r"Nothing answers at .*: start the teacher"):
        asyncio.run(go())


def test_a_server_that_never_answers_costs_two_tries_each_time(server):
    with pytest.raises(TeacherTimeoutError, match="did not answer within"):
        reply_to(server, "[[hang]] Why?", timeout_seconds=0.2, tries=4)
    assert len(server.state.requests) == 2


def test_a_slow_answer_within_the_timeout_is_waited_for():
    with FakeTeacher(Settings(latency=0.3)) as server:
        assert reply_to(server, "Why?", timeout_seconds=30).latency_seconds >= 0.3


@pytest.mark.parametrize("status", ["429", "503"])
def test_the_wait_a_server_asks_for_is_kept(status):
    with FakeTeacher(Settings(retry_after="0.2")) as server:
        reply_to(server, f"[[{status} once]] Why?")
        first, second = (entry["time"] for entry in server.state.requests)
    assert second - first >= 0.19


def test_a_long_wait_is_left_to_the_caller():
    with FakeTeacher(Settings(retry_after="3600")) as server:
        with pytest.raises(TransientTeacherError) as caught:
            reply_to(server, "[[429]] Why?")
        assert len(server.state.requests) == 1
    assert caught.value.retry_after == 3600


def test_unusable_replies_are_returned_as_they_are(server):
    empty, null, refused, cut, filtered, broken = asked(
        server,
        "[[empty]]",
        "[[null]]",
        "[[refusal field]]",
        "[[cut]]",
        "[[filter]]",
        "[[broken text]]",
    )[0]
    assert (empty.text, empty.finish_reason) == ("", "stop")
    assert null.text == ""
    assert (refused.text, refused.finish_reason) == ("This is against the rules.", "refusal")
    assert (len(cut.text), cut.finish_reason) == (40, "length")
    assert filtered.finish_reason == "content_filter"
    assert broken.text == "half a pair \ufffd, a NUL \ufffd"


def test_a_refused_temperature_is_learnt(server):
    with FakeTeacher(Settings(no_temperature=True)) as server:
        (first, second), teacher = asked(server, "one", "two")
        assert first.text
        assert second.text
        sent = ["temperature" in entry["request"] for entry in server.state.requests]
    assert sent == [True, False, False]
    assert teacher.quirks.temperature


def test_max_completion_tokens_is_learnt_and_leaves_room_to_think():
    with FakeTeacher(Settings(completion_tokens=True, no_temperature=True)) as server:
        asked(server, "one", "two", max_tokens=50, max_concurrency=1)
        requests = [entry["request"] for entry in server.state.requests]
    assert requests[0]["max_tokens"] == 50
    assert [r.get("max_completion_tokens") for r in requests[-2:]] == [2048, 2048]
    assert not any("max_tokens" in r or "temperature" in r for r in requests[-2:])
    assert len(requests) == 4


def test_a_schema_is_sent_and_answered(server):
    assert reply_to(server, "Why?", json_schema=SCHEMA).text.startswith('{"text": "')


def test_a_refused_schema_is_learnt():
    with FakeTeacher(Settings(no_response_format=True)) as server:

        async def go():
            teacher = Teacher(spec_for(server))
            for _ in range(2):
                with pytest.raises(SchemaRefusedError):
                    await teacher.ask(question("Why?"), json_schema=SCHEMA)
            assert (await teacher.ask(question("Why?"))).text
            await teacher.aclose()

        asyncio.run(go())
        assert len(server.state.requests) == 2


def test_a_page_instead_of_an_api(server):
    with pytest.raises(PermanentTeacherError, match=r"text/html.*usually ends in /v1"):
        reply_to(server, "[[html]]")


def test_an_unknown_model_is_named(server):
    with pytest.raises(PermanentTeacherError, match="does not know the model “gpt-none”"):
        reply_to(server, "Why?", model="gpt-none")
    assert len(server.state.requests) == 1


def test_a_wrong_path(server):
    spec = spec_for(server, base_url=server.base_url.removesuffix("/v1"))
    with pytest.raises(PermanentTeacherError, match="usually ends in /v1"):
        asyncio.run(check(spec))


@pytest.mark.parametrize("kind", ["400", "403", "404"])
def test_a_refused_request_is_not_repeated(server, kind):
    with pytest.raises(PermanentTeacherError, match=kind):
        reply_to(server, f"[[{kind}]]")
    assert len(server.state.requests) == 1


def test_an_account_without_credit_is_not_asked_again(server):
    with pytest.raises(PermanentTeacherError, match="has no credit left"):
        reply_to(server, "[[quota]]")
    assert len(server.state.requests) == 1


def test_a_sample_that_is_too_long(server):
    with pytest.raises(PermanentTeacherError, match="too long for the teacher “fake-teacher”"):
        reply_to(server, "[[too long]]")


def test_a_filtered_sample_is_no_fault_of_the_endpoint(server):
    with pytest.raises(ReplyError, match="content filter refused this sample") as caught:
        reply_to(server, "[[moderation]]")
    assert caught.value.reason == "filtered"


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://localhost/v1", "", "http://"])
def test_an_address_that_is_none(url):
    with pytest.raises(PermanentTeacherError, match="must begin with http"):
        asyncio.run(check(TeacherSpec(base_url=url, model="m")))


class TestKeys:
    @pytest.fixture
    def server(self):
        with FakeTeacher(Settings(key="sk-right")) as server:
            yield server

    def test_the_right_key_opens(self, server, monkeypatch):
        monkeypatch.setenv("A_KEY", " sk-right\n")
        assert reply_to(server, "Why?", api_key_variable="A_KEY").text

    def test_a_wrong_key_is_said_with_its_variable(self, server, monkeypatch):
        monkeypatch.setenv("A_KEY", "sk-wrong")
        with pytest.raises(PermanentTeacherError, match="refused the key in A_KEY"):
            reply_to(server, "Why?", api_key_variable="A_KEY")

    def test_a_missing_key_is_said_before_any_request(self, server, monkeypatch):
        monkeypatch.delenv("A_KEY", raising=False)
        with pytest.raises(PermanentTeacherError, match=r"variable A_KEY.* is not set"):
            reply_to(server, "Why?", api_key_variable="A_KEY")
        assert server.state.requests == []

    def test_a_server_that_wants_a_key(self, server, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-right")  # never sent where it is not named
        with pytest.raises(PermanentTeacherError, match="wants a key"):
            reply_to(server, "Why?")

    def test_a_key_with_a_line_break_is_not_quoted(self, server, monkeypatch):
        monkeypatch.setenv("A_KEY", "sk-ri\nght")
        with pytest.raises(PermanentTeacherError, match="A_KEY holds characters") as caught:
            reply_to(server, "Why?", api_key_variable="A_KEY")
        assert "sk-ri" not in str(caught.value)

    def test_the_key_is_in_no_log_and_no_error(self, server, monkeypatch, caplog):
        monkeypatch.setenv("A_KEY", "sk-right")
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="refinement")  # whatever a command before set
        with pytest.raises(PermanentTeacherError) as caught:
            reply_to(server, "[[500 once]] [[403 after 1]] Why?", api_key_variable="A_KEY")
        assert "asked to answer 403 to Bearer •••" in str(caught.value)
        assert "try 1 failed" in caplog.text
        assert "sk-right" not in caplog.text


def test_no_proxy_stands_before_this_machine(server, monkeypatch, closed_port):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert reply_to(server, "Why?").text


async def _ask_many(teacher, count):
    try:
        texts = [question(f"Question {number}?") for number in range(count)]
        return await asyncio.gather(*(teacher.ask(text) for text in texts))
    finally:
        await teacher.aclose()


def test_never_more_at_a_time_than_allowed():
    with FakeTeacher(Settings(latency=0.01)) as server:
        teacher = Teacher(spec_for(server, max_concurrency=3))
        replies = asyncio.run(_ask_many(teacher, 20))
        assert all(reply.text for reply in replies)
        assert 1 < server.state.most_in_flight <= 3


def test_an_overloaded_server_gets_fewer_requests_at_a_time():
    with FakeTeacher(Settings(latency=0.02, capacity=2)) as server:
        teacher = Teacher(spec_for(server, max_concurrency=16, tries=30), first_wait=0.01)
        replies = asyncio.run(_ask_many(teacher, 40))
        refused = sum(entry["misdeed"] == "429" for entry in server.state.requests)
    assert all(reply.text for reply in replies)
    assert refused >= 14
    assert teacher.limit.limit < 8


def test_a_rate_that_the_server_tells_is_kept_to():
    with FakeTeacher(Settings(rate=25)) as server:
        teacher = Teacher(spec_for(server, max_concurrency=8, tries=30), first_wait=0.01)
        replies = asyncio.run(_ask_many(teacher, 50))
        refused = sum(entry["misdeed"] == "429" for entry in server.state.requests)
        took = server.state.requests[-1]["time"] - server.state.requests[0]["time"]
    assert all(reply.text for reply in replies)
    assert took >= 0.9, "25 at once and 25 a second after them"
    assert refused < 25


class TestAzure:
    """An address with a version in it, and the key in a header of its own."""

    @pytest.fixture
    def server(self):
        with FakeTeacher(Settings(key="right", azure=True)) as server:
            yield server

    def test_the_version_and_the_key_are_sent_as_azure_wants_them(self, server, monkeypatch):
        monkeypatch.setenv("A_KEY", "right")
        assert "?api-version=2025-01-01" in server.base_url
        assert reply_to(server, "Why?", api_key_variable="A_KEY").text

    def test_a_wrong_key(self, server, monkeypatch):
        monkeypatch.setenv("A_KEY", "wrong")
        with pytest.raises(PermanentTeacherError, match="refused the key in A_KEY"):
            reply_to(server, "Why?", api_key_variable="A_KEY")


def test_a_question_carries_what_the_client_sends_and_nothing_about_this_machine(server):
    with openai.OpenAI(base_url=server.base_url, api_key="none") as client:
        client.chat.completions.create(model="fake-teacher", messages=question("Why?"))
    reply_to(server, "Why?")
    theirs, ours = (
        {name.lower(): value for name, value in entry["headers"].items()}
        for entry in server.state.requests
    )
    about_us = {name for name in theirs if name.startswith("x-stainless-")}
    assert about_us <= set(ABOUT_US)
    assert set(ours) == set(theirs) - about_us - {"connection"}
    for name in ("accept", "accept-encoding", "authorization", "content-type", "host"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize(
    ("url", "azure"),
    [
        ("https://ours.openai.azure.com/openai/v1", True),
        ("https://ours.services.ai.azure.com/models", True),
        ("https://gateway.example/openai/deployments/gpt?api-version=2025-01-01", True),
        ("https://api.openai.com/v1", False),
        ("https://openai.azure.com.example/v1", False),
    ],
)
def test_azure_is_known_by_its_address(url, azure):
    assert is_azure(url) == azure


def test_a_teacher_can_be_used_again_in_a_new_loop(server):
    teacher = Teacher(spec_for(server))
    for _ in range(2):
        assert len(asyncio.run(_ask_many(teacher, 3))) == 3


class TestCheck:
    def test_a_good_endpoint(self, server):
        asyncio.run(check(spec_for(server)))
        assert server.state.requests[0]["request"]["max_tokens"] == 16

    def test_it_asks_once(self, server):
        with FakeTeacher(Settings(status=503)) as server:
            with pytest.raises(TransientTeacherError):
                asyncio.run(check(spec_for(server)))
            assert len(server.state.requests) == 1

    def test_an_unknown_model(self, server):
        with pytest.raises(PermanentTeacherError, match="does not know the model"):
            asyncio.run(check(spec_for(server, model="other")))


class TestRequestHash:
    spec = TeacherSpec(base_url="http://a/v1", model="m")

    def test_it_is_stable_and_does_not_depend_on_the_address(self):
        here = request_hash(self.spec, question("Why?"), 0, None)
        there = request_hash(replace(self.spec, base_url="http://b/v1"), question("Why?"), 0, None)
        assert here == there
        assert len(here) == 64

    @pytest.mark.parametrize(
        "other",
        [
            lambda spec: request_hash(spec, question("Why not?"), 0, None),
            lambda spec: request_hash(spec, question("Why?"), 1, None),
            lambda spec: request_hash(spec, question("Why?"), 0, SCHEMA),
            lambda spec: request_hash(spec, question("Why?"), 0, None, 99),
            lambda spec: request_hash(replace(spec, model="n"), question("Why?"), 0, None),
            lambda spec: request_hash(replace(spec, temperature=0.1), question("Why?"), 0, None),
        ],
    )
    def test_what_shapes_the_reply_changes_it(self, other):
        assert other(self.spec) != request_hash(self.spec, question("Why?"), 0, None)


def test_cost_is_exact_decimal_arithmetic():
    spec = TeacherSpec(base_url="", model="", price_prompt=0.15, price_completion=0.6)
    reply = TeacherReply(text="", finish_reason="stop", prompt_tokens=1, completion_tokens=3)
    assert cost(spec, reply) == Decimal("0.00000195")
    assert cost(replace(spec, price_prompt=0.0, price_completion=0.0), reply) == 0
