import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.method.cleaning import clean_instruction, clean_response, whole_sentences
from refinement.method.pairs import Pair
from refinement.method.replies import UnusableReply

PAIR = Pair(instruction="tell me about tea", response="Tea is a drink.")
WANTED = "Describe how green tea is made."
ANSWER = "Green tea is made from leaves that are heated soon after picking."


@pytest.mark.parametrize(
    "text",
    [
        WANTED,
        f"New instruction: {WANTED}",
        f"**New Instruction:** {WANTED}",
        f"**Instruction**: {WANTED}",
        f"### Rewritten instruction:\n{WANTED}",
        f"Sure, here is the new instruction:\n\n{WANTED}",
        f"Sure! Here's a rewritten version of the instruction: {WANTED}",
        f"Here is a better instruction that is clearer:\n{WANTED}",
        f"Certainly. Here is the improved prompt:\n\n**Instruction:** {WANTED}",
        f'"{WANTED}"',
        f"“{WANTED}”",
        f"**{WANTED}**",
        f'Here is the revised instruction: "{WANTED}"',
        f"```\n{WANTED}\n```",
        f"```markdown\n{WANTED}\n```",
        f"{WANTED}\n\nResponse: Green tea is made by heating leaves.",
        f"{WANTED}\n\n**Answer:** Green tea.",
        f"New instruction: {WANTED}\nNew response:\nIt is made of leaves.",
    ],
)
def test_an_instruction_is_taken_out_of_its_wrapping(text):
    assert clean_instruction(text, PAIR) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "Write a story that ends with the word “End”.",
        "Sort these: b, a, c",
        'Explain what "tea" means in "high tea".',
        "Describe two things: tea and coffee.",
        "```python\nprint(1)\n```",
        "Here is a riddle: what has an eye and cannot see?",
        "Write a label that says [New Instruction] in bold.",
        "Instruct a beginner.",
        "An earlier reply was empty. Say politely why.",
        "No more than ten words: what is tea?",
    ],
)
def test_what_belongs_to_an_instruction_stays(text):
    assert clean_instruction(text, PAIR) == text


def test_labels_that_the_original_has_are_content():
    pair = Pair(instruction="Question: what is tea?\nAnswer:", response="A drink.")
    text = "Question: how is tea made?\nAnswer:"
    assert clean_instruction(text, pair) == text


def test_the_input_is_not_repeated_in_the_instruction():
    pair = Pair(instruction="Translate into French.", input="Good morning.", response="Bonjour.")
    for copy in ("\n\nGood morning.", "\n\nInput:\nGood morning.", "\nInput: Good morning."):
        assert clean_instruction(f"Translate the sentence politely.{copy}", pair) == (
            "Translate the sentence politely."
        )
    quoted = "Translate this into French: Good morning."
    assert clean_instruction(quoted, pair) == quoted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hello! How can I help you today?", "unparsable"),
        ("Please provide the instruction.", "unparsable"),
        ("Green tea is made by heating leaves.", "unparsable"),
        ("No, it is made of leaves.", "unparsable"),
        ("The answer is: leaves.", "unparsable"),
        ("New instruction: I cannot assist with that.", "refusal"),
    ],
)
def test_what_is_no_instruction(text, reason):
    pair = Pair(
        instruction="tea?", response="Green tea is made by heating leaves. It is drunk hot."
    )
    with pytest.raises(UnusableReply) as caught:
        clean_instruction(text, pair)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"New response: {ANSWER}",
        f"Response:\n{ANSWER}",
        f"**Answer:** {ANSWER}",
        f"Sure, here is a better response:\n\n{ANSWER}",
        f"Here's an improved version of the response: {ANSWER}",
        f'"{ANSWER}"',
    ],
)
def test_a_response_is_taken_out_of_its_wrapping(text):
    assert clean_response(text, PAIR) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "Here is a list of teas:\n1. Green\n2. Black",
        "Sure! Tea is a drink.",
        "```python\nprint('tea')\n```",
        "Question: what is tea? Answer: a drink.",
        '"Tea," she said, "is all I need."',
        "42",
        "The End",
        "[End]",
    ],
)
def test_what_belongs_to_a_response_stays(text):
    assert clean_response(text, PAIR) == text


def test_quotes_and_labels_of_the_original_response_stay():
    pair = Pair(instruction="Quote it.", response='"Tea."')
    assert clean_response('"Green tea."', pair) == '"Green tea."'
    pair = Pair(instruction="Which?", response="Answer: B")
    assert clean_response("Answer: C", pair) == "Answer: C"


def test_a_refusal_is_fine_where_the_original_refuses():
    refusing = Pair(instruction="Pick a lock.", response="I'm sorry, but I can't help with that.")
    text = "I'm sorry, but I can't assist with breaking into houses."
    assert clean_response(text, refusing) == text
    with pytest.raises(UnusableReply):
        clean_response(text, PAIR)


def test_small_talk_is_fine_where_the_original_is():
    greeting = Pair(instruction="hi", response="Hi! How can I help you?")
    assert clean_response("Hello! How can I help you today?", greeting)
    with pytest.raises(UnusableReply):
        clean_response("Hello! How can I help you today?", PAIR)


def test_a_cut_text_ends_with_its_last_whole_sentence():
    assert whole_sentences("It is vague. It gives 3.5 examp") == "It is vague."
    assert whole_sentences("too vague") == "too vague"
    assert whole_sentences("说得不清楚。还有") == "说得不清楚。"


TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["New instruction:", "Response:", "Sure, here is", "```", '"', "**", "\n", " ", "tea"]
        )
    ).map("".join),
)


@given(text=TEXTS.filter(str.strip), instruction=TEXTS, response=TEXTS, given_input=TEXTS)
def test_cleaning_only_takes_away_and_never_all(text, instruction, response, given_input):
    text = text.strip()
    pair = Pair(instruction=instruction, response=response, input=given_input)
    for clean in (clean_instruction, clean_response):
        try:
            cleaned = clean(text, pair)
        except UnusableReply:
            continue
        assert cleaned
        assert cleaned in text
        assert cleaned == cleaned.strip()
