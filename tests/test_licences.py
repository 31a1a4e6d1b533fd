"""Every installed package has a licence that is known and allowed, and the docs say which."""

from __future__ import annotations

from email.message import Message

import pytest

from requirements.licences import BEGIN, END, PAGE, Licence, installed, licence_of, locked


def test_every_licence_is_known_and_allowed() -> None:
    found = installed()
    assert {"django", "torch", "pytest"} <= {licence.package for licence in found}
    unknown = [licence.package for licence in found if not licence.text]
    assert unknown == [], "read their licence files, and see requirements/licences.py"
    assert [licence for licence in found if not licence.allowed] == []


def test_the_page_says_what_is_installed() -> None:
    lines = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {row[0]: row[1] for row in rows}
    refresh = "refresh it: make licences"
    here = {licence.package: licence.text for licence in installed()}
    del here["torch"]  # the page has it in words, as its builds differ
    assert here.items() <= told.items(), refresh
    assert set(told) <= set(locked("everything")), refresh
    product = {row[0] for row in rows if row[2] == "product"}
    assert product <= set(locked("product")), refresh
    assert "krippendorff" not in product


def about(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "text", "allowed"),
    [
        ({"License_Expression": "MIT"}, "MIT", True),
        ({"License_Expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}, None, True),
        ({"License_Expression": "GPL-3.0-or-later"}, "GPL-3.0-or-later", False),
        ({"License_Expression": "MIT AND AGPL-3.0-only"}, "MIT AND AGPL-3.0-only", False),
        ({"License": "Apache 2.0 License"}, "Apache-2.0", True),
        (
            {"License": "see the file", "Classifier": "License :: OSI Approved :: MIT License"},
            "MIT",
            True,
        ),
        ({"Classifier": "License :: Other/Proprietary License"}, "", False),
        ({"License": "All rights reserved"}, "", False),
        ({}, "", False),
    ],
)
def test_a_licence_is_read_and_judged(
    fields: dict[str, str], text: str | None, allowed: bool
) -> None:
    read = licence_of("thing", about(**fields))
    assert read == (fields["License_Expression"] if text is None else text)
    assert Licence("thing", read).allowed is allowed


def test_what_tests_may_use_is_no_leave_for_others() -> None:
    assert Licence("krippendorff", "GPL-3.0-or-later").allowed
    assert not Licence("another", "GPL-3.0-or-later").allowed
    assert "krippendorff" not in locked("product")
