"""German: complete, with the same placeholders, compiled, and safe for numbers in drawings."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import polib
import pytest
from django.conf import settings
from django.template import engines
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.urls import reverse

from tests.web.test_pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.template.base import Node

    from tests.web.conftest import House

BASE = Path(settings.BASE_DIR)
PO = BASE / "locale" / "de" / "LC_MESSAGES" / "django.po"
MARKS = {"gettext", "gettext_lazy", "gettext_noop"}
NO_PAGES = {"_not_valid", "TypeError", "OAuth2Error", "InvalidKeyError"}
SENTENCE = re.compile(r"^[A-Z“].* .*[.:]$|\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
PAGES_IN_CODE = sorted((BASE / "refinement/web").glob("*.py"))
SPEAKS_TO_PROGRAMS = {"health.py", "status.py"}
TEMPLATES = sorted((BASE / "templates").rglob("*.html"))
OF_TEMPLATES = re.compile(
    r"{% comment.*?endcomment %}|{% blocktranslate\b.*?{% endblocktranslate %}"
    r"|{% block (?:page|body)_class %}.*?{% endblock %}|{#.*?#}|{%.*?%}|{{.*?}}",
    re.DOTALL,
)
NAMES = {
    *("SHA-256", "README.md", "dataset_info.json", "manifest.json", "train"),
    *("as_imported", "jsonl"),
}
HOLES = re.compile(r"%\((\w+)\)s|\{(\w+)\}")  # the second kind is filled in the browser


def german() -> polib.POFile:
    return polib.pofile(str(PO))


def in_templates() -> Iterator[str]:
    engine = engines["django"].engine
    for path in TEMPLATES:
        template = engine.get_template(str(path.relative_to(BASE / "templates")))
        for node in template.nodelist.get_nodes_by_type(TranslateNode):
            text = node.filter_expression.var
            text = text if isinstance(text, str) else getattr(text, "literal", None)
            if text is not None:
                yield text.replace("%", "%%")  # as Django looks it up
        for node in template.nodelist.get_nodes_by_type(BlockTranslateNode):
            yield block_text(node)


def block_text(node: Node) -> str:
    text, _ = node.render_token_list(node.singular)
    return str(text)


def in_code() -> Iterator[str]:
    for path in sorted((BASE / "refinement").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in MARKS:
                yield from (str(text.value) for text in call.args if _is_text(text))
            elif isinstance(call, ast.Call) and getattr(call.func, "id", "") == "ngettext":
                yield str(getattr(call.args[0], "value", ""))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Sentences in a module of pages that no reader's language is asked for, with their lines."""
    tree = ast.parse(path.read_text())
    aside = {
        inner
        for node in ast.walk(tree)
        if _is_docstring(node) or _is_no_page(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if _is_text(node) and node not in aside and SENTENCE.search(node.value):  # type: ignore[arg-type, attr-defined]
            yield node.lineno, node.value  # type: ignore[attr-defined]


class Words(HTMLParser):
    """Words of a template's own markup that a person reads or hears, with their lines."""

    HEARD = ("title", "aria-label", "placeholder", "alt", "data-announce")
    CODE = ("script", "style", "code", "kbd", "pre")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._code = 0
        self.feed(re.sub(OF_TEMPLATES, lambda part: "\n" * part[0].count("\n"), source))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in self.CODE
        for name, value in attrs:
            if name in self.HEARD:
                self._note(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in self.CODE

    def handle_data(self, data: str) -> None:
        if not self._code:
            self._note(data)

    def _note(self, words: str) -> None:
        if re.search("[A-Za-z]{2,}", words) and words.strip() not in NAMES:
            self.found.append((self.getpos()[0], words.strip()))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_no_page(node: ast.AST) -> bool:
    """Marked for translation, or for a log or another program."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
    of = getattr(getattr(node.func, "value", None), "id", "")
    return name in MARKS | NO_PAGES or name == "ngettext" or of == "logger"


def test_every_text_has_its_german() -> None:
    known = {entry.msgid: entry for entry in german()}
    wanted = {*in_templates(), *in_code()} - {""}
    assert len(wanted) > 500
    assert sorted(wanted - set(known)) == [], "refresh them: make messages"
    missing = [m for m in wanted if not (known[m].msgstr or all(known[m].msgstr_plural.values()))]
    assert missing == []


@pytest.mark.parametrize("path", PAGES_IN_CODE, ids=lambda path: path.stem)
def test_no_page_says_a_sentence_in_english_alone(path: Path) -> None:
    if path.name not in SPEAKS_TO_PROGRAMS:
        assert list(sentences(path)) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_says_a_word_in_english_alone(path: Path) -> None:
    source = path.read_text()
    assert Words(source).found == []
    words = set(re.findall(r'\|(?:default|join|yesno|date):"([^"]*[A-Za-z]{3,}[^"]*)"', source))
    assert words - NAMES == set()
    assert "|pluralize" not in source


def test_both_looks_would_find_something(tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    module.write_text(
        '"""Not this."""\nlogger.error("Nor this one.")\nmessages.error(r, "But this.")'
    )
    assert list(sentences(module)) == [(3, "But this.")]
    found = Words(
        '{% translate "No" %}<p title="Heard">{{ name }}<b>Read</b><code>run</code>'
    ).found
    assert found == [(1, "Heard"), (1, "Read")]


def test_the_german_fills_the_same_holes() -> None:
    for entry in german():
        for text in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
            assert sorted(HOLES.findall(text)) == sorted(HOLES.findall(entry.msgid)), entry.msgid
            assert text.count("<") == entry.msgid.count("<"), entry.msgid


def test_what_is_compiled_is_what_is_written() -> None:
    compiled = {entry.msgid: entry for entry in polib.mofile(str(PO.with_suffix(".mo")))}
    for entry in german():
        found = compiled[entry.msgid]
        assert (found.msgstr, found.msgstr_plural) == (entry.msgstr, entry.msgstr_plural)


def test_a_person_chooses_the_language(house: House) -> None:
    client = house.visitor("owner")
    client.post(reverse("language"), {"language": "de", "next": reverse("home")})
    html = client.get(reverse("home")).content.decode()
    assert '<html lang="de"' in html
    assert "<h1>Projekte</h1>" in html
    client.post(reverse("language"), {"language": "en"})
    assert "<h1>Projects</h1>" in client.get(reverse("home")).content.decode()


def test_the_browser_s_language_counts_until_then(house: House) -> None:
    client = house.visitor("owner", accept_language="de-AT,de;q=0.9")
    assert '<html lang="de"' in client.get(reverse("home")).content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_in_german(name: str, house: House) -> None:
    owner = house.room.owner
    owner.is_staff = True
    owner.save()
    numbers = {
        "project": house.room.project.pk,
        "dataset": house.dataset.pk,
        "run": house.room.run.pk,
        "pair": house.room.pairs[0].pk,
        "export": house.export.pk,
    }
    url = reverse(name, args=[numbers[kind] for kind in PAGES[name]])
    answer = house.visitor("owner", accept_language="de").get(url)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert '<html lang="de"' in html
    drawn = re.findall(r"<(?:rect|svg|circle|line)\b[^>]*>", html)
    commas = [tag for tag in drawn if re.search(r'\s(?:x|y|width|height|r)="\d+,\d', tag)]
    assert commas == [], "a drawing's numbers are not for readers"
