import pytest

from refinement.method.pairs import TeacherReply
from refinement.method.replies import (
    UnusableReply,
    is_looping,
    is_refusal,
    is_small_talk,
    storable,
    usable_text,
    without_thoughts,
)


def reply(text, finish_reason="stop", tokens=100):
    return TeacherReply(text=text, finish_reason=finish_reason, completion_tokens=tokens)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        ("", "stop", "empty"),
        (" \n\t", "stop", "empty"),
        ("<think>What now?</think>", "stop", "empty"),
        ("", "length", "truncated"),
        ("A good start of", "length", "truncated"),
        ("<think>A long thou", "length", "truncated"),
        ("A good start of", "model_length", "truncated"),
        ("Let me look that up.", "tool_calls", "truncated"),
        ("A good start of", "abort", "truncated"),
        ("I’m sorry, but I can’t assist with that.", "stop", "refusal"),
        ("This is against the rules.", "refusal", "refusal"),
        ("Half of a", "content_filter", "filtered"),
        ("", "content_filter", "filtered"),
    ],
)
def test_what_is_of_no_use(text, finish_reason, reason):
    with pytest.raises(UnusableReply) as caught:
        usable_text(reply(text, finish_reason))
    assert caught.value.reason == reason
    assert caught.value.note


def test_what_is_of_use():
    assert usable_text(reply(" Ice is lighter. ")) == "Ice is lighter."
    assert usable_text(reply("<think>Hm.\n</think>\n\nIce.")) == "Ice."
    assert usable_text(reply("Ice.", "")) == "Ice."  # some servers give no reason


def test_only_a_criticism_may_be_cut():
    assert usable_text(reply("It is vague. It al", "length"), may_be_cut=True)
    with pytest.raises(UnusableReply):
        usable_text(reply("", "length"), may_be_cut=True)


def test_the_note_after_a_cut_gives_a_length_that_fits():
    with pytest.raises(UnusableReply) as caught:
        usable_text(reply("word " * 200, "length", tokens=200))
    assert "repeated itself" in caught.value.note
    with pytest.raises(UnusableReply) as caught:
        usable_text(reply("A long text that never ends", "length", tokens=200))
    assert "at most 70 words" in caught.value.note


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I am sorry, but I cannot fulfill this request.",
        "Sorry, I can’t help with that request.",
        "I cannot assist with that.",
        "I can't provide instructions for that.",
        "I'm unable to help you with this.",
        "I am not able to comply with that request.",
        "As an AI language model, I cannot provide opinions.",
        "Unfortunately, I cannot help.",
        "I apologize, but I can't create that content.",
        "**I'm sorry, I can't do that.**",
        "We cannot share this information.",
    ],
)
def test_refusals(text):
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry, but I can't make it to your party on Friday.",
        "I cannot recommend this book enough.",
        "Sorry seems to be the hardest word.",
        "The response “I'm sorry, but I can't assist” refuses without saying why.",
        "I can help with that: 2 + 2 = 4.",
        "We will not write off the debt, she said.",
        "I can't help falling in love with you",
        "I cannot continue to live like this, wrote the captain.",
        "I can't assist with that. " + "But here is what you could do instead. " * 12,
    ],
)
def test_no_refusals(text):
    assert not is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi! How can I help you today?",
        "Hello, how may I assist you?",
        "Sure, I'd be happy to help! Please provide the instruction.",
        "Please provide the text that you want to have rewritten.",
        "I'm ready to help you.",
        "I'll do my best to answer.",
        "I am ready to discuss a list of questions. Please go ahead and provide the list.",
        "A helpful AI assistant. I'm ready to assist. Please go ahead and provide the table.",
    ],
)
def test_small_talk(text):
    assert is_small_talk(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "How can one help a friend?", "Hi there."),
        "I am ready to go. Please give the dog his dinner at six.",
        "A helpful AI assistant answers what it was asked, and says so when it cannot.",
    ],
)
def test_no_small_talk(text):
    assert not is_small_talk(text)


def test_loops():
    assert is_looping("First. " + "The cat sat on the mat. " * 5 + "The cat sat")
    assert is_looping("\n".join(f"{n}. Put the phone away." for n in range(1, 40)))
    assert not is_looping("One thing. Another thing. A third thing, and then the rest of it all.")
    assert not is_looping("")


def test_thoughts_are_taken_off_only_at_the_beginning():
    assert without_thoughts("<thinking>a</thinking>b") == "b"
    text = "The tag <think> marks thoughts; </think> ends them."
    assert without_thoughts(text) == text


def test_storable_text_survives_every_database():
    assert storable("a\x00b\ud83dc") == "a�b�c"
    assert storable("\ud83d\ude00 木漏れ日 😀") == "😀 木漏れ日 😀"


def test_a_hostile_reply_is_checked_as_quickly_as_any_other():
    for piece in ("hi, ", "sorry, ", "* ", "#", "Sure! ", "\n"):
        text = piece * 59 + "x"  # the check must not try every way to split it
        assert not is_refusal(text)
        is_small_talk(text)
        is_looping(text)
