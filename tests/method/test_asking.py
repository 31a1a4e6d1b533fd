import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.method.asking import ask_twice, refuse_echo
from refinement.method.errors import ReplyError
from refinement.method.pairs import Pair
from refinement.method.protocols import json_schema, staged, tagged
from refinement.method.replies import UnusableReply, usable_text
from tests.method.scripted import Script, cut

QUESTION = [{"role": "system", "content": "Improve."}, {"role": "user", "content": "Tea?"}]
PAIR = Pair(instruction="tell me about tea", response="Tea is a drink.")
EMPTY = "An earlier reply was empty."


def ask(*replies, messages=QUESTION):
    script = Script(*replies)
    return asyncio.run(
        ask_twice(script, step="criticise_response", messages=messages, read=usable_text)
    )


@pytest.mark.parametrize(
    "echo",
    [
        EMPTY,
        f"Note: {EMPTY}",
        f"Describe tea. Note:\n{EMPTY} Thank you.",
        "an  earlier reply WAS empty.",
    ],
)
def test_a_reply_that_repeats_its_note_is_of_no_use(echo):
    with pytest.raises(ReplyError, match="repeated our note") as caught:
        ask("", echo)
    assert caught.value.reason == "unparsable"


def test_the_first_sentence_of_a_note_gives_it_away():
    with pytest.raises(ReplyError, match="repeated our note"):
        ask(cut("Tea is"), "Tea. An earlier reply was too long and was cut off.")


def test_the_words_of_a_note_are_fine_where_they_are_no_echo():
    assert ask(f"So it says: {EMPTY}")  # no note was sent
    assert ask("", "An earlier reply was better.")  # nor this one
    about = [QUESTION[0], {"role": "user", "content": f"Explain: “{EMPTY}”"}]
    assert ask("", f"“{EMPTY}” means that nothing was in it.", messages=about)


@pytest.mark.parametrize("protocol", [staged, tagged, json_schema])
def test_no_protocol_takes_an_echo_into_a_pair(protocol):
    _, tag = tagged.tags_for(PAIR)
    echo = f"Tea is hot. Note: {EMPTY}"
    replies = ["Vague.", "", echo] if protocol is staged else ["", f"Vague.\n{tag.around(echo)}"]
    with pytest.raises(ReplyError, match="repeated our note"):
        asyncio.run(protocol.reflect_on_response(PAIR, Script(*replies)))


@pytest.mark.parametrize("protocol", [staged, tagged, json_schema])
def test_a_record_about_such_notes_is_no_special_case(protocol):
    pair = Pair(instruction=f"Explain: {EMPTY}", response="Nothing was in it.")
    _, tag = tagged.tags_for(pair)
    new = f"“{EMPTY}” says that a reply had no text."
    replies = ["Brief.", "", new] if protocol is staged else ["", f"Brief.\n{tag.around(new)}"]
    reflection = asyncio.run(protocol.reflect_on_response(pair, Script(*replies)))
    assert reflection.pair.response == new


@given(before=st.text(), note=st.sampled_from([EMPTY, f"{EMPTY} Write it anew."]), after=st.text())
def test_an_echo_is_found_wherever_it_stands(before, note, after):
    with pytest.raises(UnusableReply):
        refuse_echo([f"{before} {EMPTY} {after}"], note, QUESTION)
    about = [{"role": "user", "content": f"{before} {EMPTY} {after}"}]
    refuse_echo([f"{after} {EMPTY} {before}"], note, about)
