"""The licences of what ``make setup`` installs, by the packages' own metadata.

``make licences`` writes docs/licences.md; ``tests/test_licences.py`` holds it against what is
installed, and fails where a licence is unknown or not allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "licences.md"
BEGIN, END = "<!-- licences: begin -->\n", "<!-- licences: end -->\n"

# Nothing of these reaches our own code. MPL and LGPL bind changes to the package itself, which we
# use as it is, as a separate file that may be replaced.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
    *("CNRI-Python", "ISC", "LGPL-3.0-only", "LLVM-exception", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Zlib"),
}
# What tests alone import, and no image holds.
ALLOWED_IN_TESTS = {"krippendorff": "GPL-3.0-or-later"}
# Where the metadata says nothing: read in the package's own licence file.
READ = {"axe-playwright-python": "MIT"}
# Other words for one licence. A bare "BSD" does not say which of its texts.
WORDS = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True, order=True)
class Licence:
    """``text`` is an SPDX expression; empty: the metadata tells none that is known here."""

    package: str
    text: str

    @property
    def allowed(self) -> bool:
        """Whether every licence that is named may be used, also where one of them would do."""
        if ALLOWED_IN_TESTS.get(self.package) == self.text:
            return True
        named = set(re.findall(r"[\w.+-]+", self.text)) - {"AND", "OR", "WITH"}
        return bool(named) and named <= ALLOWED


def locked(lock: str) -> list[str]:
    text = (FOLDER / f"{lock}.lock").read_text()
    return re.findall(r"^([A-Za-z0-9][\w.-]*)==", text, re.MULTILINE)


def installed() -> list[Licence]:
    """Of all locked packages that this platform has, and PyTorch."""
    found = []
    for package in [*locked("everything"), "torch"]:
        try:
            found.append(Licence(package, licence_of(package, metadata.metadata(package))))
        except metadata.PackageNotFoundError:  # for another platform
            continue
    return sorted(found)


def licence_of(package: str, about: metadata.PackageMetadata) -> str:
    """Its expression where it has one, else its words or classifiers where they are known."""
    if package in READ:
        return READ[package]
    if expression := about.get("License-Expression"):
        return str(expression)
    said = str(about.get("License") or "").strip()
    if said in WORDS or Licence(package, said).allowed:
        return WORDS.get(said, said)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in about.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    named = [WORDS[text] for text in classifiers if text in WORDS]
    return " OR ".join(sorted(set(named)))


def table() -> str:
    """Without PyTorch, whose builds differ in what they bundle."""
    product = set(locked("product"))
    lines = [
        f"| {licence.package} | {licence.text or '**unknown**'} "
        f"| {'product' if licence.package in product else 'extras, tests'} |"
        for licence in installed()
        if licence.package != "torch"
    ]
    return "\n".join(["| package | licence | part of |", "| --- | --- | --- |", *lines]) + "\n"


def main() -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
