"""``manage.py prepare_model``: makes ready what `up` and `demo` would make at their first start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.model import ensure_embedded_model, ensure_teacher_file
from refinement.embedded.teacher_server import is_llama
from refinement.management.quick import QuickCommand


class Command(QuickCommand):
    help = "Unpack the embedded model, once, so that the first start is quick."

    def handle(self, **_: Any) -> None:
        try:
            ensure_embedded_model()
            if is_llama():
                ensure_teacher_file()
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
