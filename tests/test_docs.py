"""The documentation as a site: every page has its place, every link leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from django.core.management import get_commands

from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

FETCHED = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)')


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)


def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    done = build(REPOSITORY, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.glob("*.html"))
    assert {path.stem for path in (REPOSITORY / "docs").glob("*.md")} <= {p.stem for p in pages}
    for page in pages:
        assert FETCHED.findall(page.read_text()) == [], page.name


def test_each_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    nowhere = ("nowhere.md", "settings.md#nowhere", "../README.md")
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.writelines(f"\n[a]({link})\n" for link in nowhere)
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    for link in nowhere:  # a warning each, which is what stops it
        assert re.search(rf"WARNING.*index\.md.*'{re.escape(link)}'", done.stderr), done.stderr


def test_the_commands_of_the_quickstart_exist() -> None:
    text = (REPOSITORY / "docs" / "index.md").read_text()
    named = set(re.findall(r"manage\.py (\w+)", text))
    assert {"up", "refine", "score", "createsuperuser"} == named
    assert named <= set(get_commands())
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "setup"} == set(re.findall(r"^make (\w+)$", text, re.MULTILINE)) <= targets
