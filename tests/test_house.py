"""Rules that no other tool holds: what may be loaded, and what must be written down."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from django.template import engines
from django.template.backends.django import DjangoTemplates

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "openai", "datasets", "pandas", "pyarrow", "huggingface_hub")


PAGES = ("refinement.web.urls", "refinement.api.app")


def modules_loaded_by(statement: str, looked_for: tuple[str, ...] = HEAVY) -> set[str]:
    """Which of these a fresh process has loaded after ``statement``."""
    code = (
        "import sys, django; django.setup()\n"
        f"{statement}\n"
        f"print(*[name for name in {looked_for!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_web_and_the_supervisor_load_no_model_code() -> None:
    statements = (
        "import srt_web.wsgi",
        "from django.urls import resolve; resolve('/healthz')",
        "import refinement.embedded.supervisor",
        "import refinement.management.commands.up, refinement.management.commands.demo",
    )
    assert modules_loaded_by("; ".join(statements)) == set()


def test_a_worker_loads_torch_and_the_client_only_with_its_first_student_or_question() -> None:
    """Nor does it ever load a page."""
    start = "from srt_web import celery_app; celery_app.loader.import_default_modules()"
    assert modules_loaded_by(start, (*HEAVY, *PAGES)) == set()


def test_the_rules_of_import_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_every_setting_is_described_and_every_description_is_of_a_setting() -> None:
    source = (ROOT / "srt_web" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    table = (ROOT / "docs" / "settings.md").read_text()
    described = set(re.findall(r"^\| `([A-Z_]+)` ", table, re.MULTILINE))
    assert len(read) > 10
    assert described == read


def test_every_template_compiles() -> None:
    engine = engines["django"]
    assert isinstance(engine, DjangoTemplates)
    names = [path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*.*")]
    assert len(names) > 20
    for name in names:
        engine.get_template(str(name))


def test_pages_hold_no_script_and_no_style_of_their_own() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        comment = re.compile(r"\{#.*?#\}|\{% comment.*?endcomment %\}", re.DOTALL)
        text = comment.sub("", path.read_text())
        found = re.findall(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", text)
        assert found == [], path


def test_the_readme_names_what_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"\bmake ([a-z]+)", readme)) <= targets
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / name).exists(), name
