from __future__ import annotations

import pytest

from refinement.method.errors import StudentError
from refinement.method.pairs import Pair, Turn
from refinement.method.templates import (
    GUESS_INSTRUCTION,
    TEMPLATE_NAMES,
    ChatTemplate,
    Message,
    get_template,
)
from tests.golden import golden_templates

TURNS = (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello"))


def test_texts_are_those_of_the_published_script_to_the_letter() -> None:
    golden = golden_templates()

    assert golden.pop("guess_instruction") == GUESS_INSTRUCTION
    ours = {name: get_template(name) for name in TEMPLATE_NAMES}
    assert golden == {
        name: {"no_input": template.no_input, "input": template.with_input}
        for name, template in ours.items()
    }


def test_input_decides_which_text_is_used() -> None:
    template = get_template("wizardlm")

    assert template.prompt(Pair("Add", "3")) == "Add\n\n### Response:"
    assert template.prompt(Pair("Add", "3", input="1 2")) == "Add\n1 2\n\n### Response:"


def test_guess_prompt_is_the_instruction_of_the_text_without_input() -> None:
    assert get_template("none").guess_prompt("Blue.") == (
        "Below is the response to an instruction, please guess the corresponding instruction for "
        "the given response.\nBlue.\nGenerate the instruction for the above response.\n"
    )


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_braces_in_the_data_are_only_text(name: str) -> None:
    template = get_template(name)

    assert "{input} {0} {{" in template.prompt(Pair("{input} {0} {{", "y", input="{instruction}"))
    assert "{response}" in template.guess_prompt("{response}")


def test_context_stands_before_a_text_template_and_not_in_the_guess() -> None:
    template = get_template("alpaca")
    bare, full = Pair("Go on", "Yes"), Pair("Go on", "Yes", context=TURNS)

    assert template.prompt(full) == (
        "System: Be brief.\nUser: Hi\nAssistant: Hello\n\n" + template.prompt(bare)
    )


def test_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(StudentError, match="no score template 'llama': choose one of vicuna, alp"):
        get_template("llama")


def _render(messages: list[Message]) -> str:
    return "".join(f"[{m['role']}]{m['content']}" for m in messages)


def _render_without_system(messages: list[Message]) -> str:
    if messages[0]["role"] == "system":
        raise StudentError("System role not supported")
    return _render(messages)


def test_chat_passes_turns_and_joins_instruction_and_input() -> None:
    chat = ChatTemplate(render=_render)

    assert chat.prompt(Pair("Add", "3", input="1 2", context=TURNS)) == (
        "[system]Be brief.[user]Hi[assistant]Hello[user]Add\n1 2"
    )
    assert chat.guess_prompt("Blue.") == "[user]" + GUESS_INSTRUCTION.format(response="Blue.")


def test_chat_without_a_system_role_gets_the_context_as_text() -> None:
    chat = ChatTemplate(render=_render_without_system)

    assert chat.prompt(Pair("Add", "3", context=TURNS[:1])) == "[user]System: Be brief.\n\nAdd"
