"""The Django project: settings, URLs and the Celery application."""

import atexit
import gc

from srt_web.celery import app as celery_app

__all__ = ["celery_app"]

# Objects made before Python looks for cycles among the youngest. Its own 700 are all in use while
# Django or torch is imported, a page put together or hundreds of questions under way: looking in
# vain was a seventh of a student worker's start, and a sixth of what a teacher's question takes.
gc.set_threshold(50_000)

# A process that ends gives its memory back whole. To look for cycles in it first, several times, is
# a second for each that has loaded torch.
atexit.register(gc.freeze)
