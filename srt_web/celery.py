"""The Celery application. Messages only say "there is work"; the database is the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")

app = Celery("srt_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["refinement.pipeline"])
