"""Small pieces that templates of all screens share: the theme, icons, bars, durations, figures."""

from decimal import Decimal
from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_noop

from refinement.visible_text import visible

register = template.Library()

# A text of a dataset, teacher or file name, with signs for what hides itself: ``{{ x|visible }}``.
register.filter("visible", visible)

THEMES = ("light", "dark")
# Words that a page takes from the code: labels that Django makes of a field's name, roles, kinds.
WORDS_OF_CODE = (
    gettext_noop("Name"),
    gettext_noop("Role"),
    gettext_noop("Username"),
    gettext_noop("File"),
    gettext_noop("Dataset"),
    gettext_noop("Teacher"),
    gettext_noop("Student"),
    gettext_noop("Protocol"),
    gettext_noop("Template"),
    gettext_noop("Model"),
    gettext_noop("Temperature"),
    gettext_noop("Revision"),
    gettext_noop("instruction"),
    gettext_noop("response"),
    gettext_noop("teacher"),
    gettext_noop("student"),
    gettext_noop("owner"),
    gettext_noop("reviewer"),
    gettext_noop("viewer"),
)
THEME_COOKIE = "srt_theme"


@register.simple_tag(takes_context=True)
def theme(context: dict[str, Any]) -> str:
    """The chosen theme: ``light``, ``dark``, or empty for the system's."""
    request = context.get("request")
    chosen = request.COOKIES.get(THEME_COOKIE, "") if isinstance(request, HttpRequest) else ""
    return chosen if chosen in THEMES else ""


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of static/img/icons.svg. It is decoration: the words beside it say the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>',
        static("img/icons.svg"),
        name,
    )


@register.filter
def percent(part: float | None, whole: float | None) -> int:
    """``part`` of ``whole`` in whole percent; 100 only when all of it is there."""
    if not part or not whole:
        return 0
    return min(int(100 * part / whole), 100)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as words that fit in a table: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds is None:
        return "–"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


@register.filter
def rate(value: float | None) -> str:
    """A rate with as many digits as can be read at a glance: ``240``, ``3.4``, ``0.25``."""
    if value is None:
        return "–"
    if value >= 100:
        return local(value, 0)
    return local(value, 1 if value >= 1 else 2) if value else "0"


@register.filter
def short_hash(value: str) -> str:
    """The first twelve digits of a hash: enough to compare by eye."""
    return value[:12]


@register.filter
def compact(value: float) -> str:
    """A large count in few digits: ``950``, ``12.4k``, ``3.05M``, ``1.20B``."""
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if value >= size:
            scaled = value / (1000 if unit == "k" else size)
            return local(scaled, 2 if scaled < 10 else 1) + unit
    return local(value, 0)


@register.filter
def last_part(path: str) -> str:
    """A local model by its name, not by its folder; the name of a hub stays whole."""
    return path.rstrip("/").rpartition("/")[2] if path.startswith(("/", "~", ".")) else path


@register.filter
def normal(value: Decimal) -> str:
    """A decimal without the zeros at its end: ``0.15``, ``2``."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def local(value: float, digits: int) -> str:
    """A number as the reader's language writes it, rounded (Django's own formats cut off)."""
    return number_format(f"{value:.{digits}f}", digits, force_grouping=True)


@register.filter
def mid_sentence(words: str) -> str:
    """A name that begins with a capital, within a sentence. German keeps the capitals of nouns."""
    return words if (get_language() or "").startswith("de") else words.lower()
