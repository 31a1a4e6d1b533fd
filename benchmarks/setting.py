"""Django's settings, for benchmarks of what needs them. Import it before torch."""

from __future__ import annotations

import os

import django
import real_pairs  # noqa: F401 -- it makes the project's packages importable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
django.setup()  # the settings say, among other things, how torch's threads wait
