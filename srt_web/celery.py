"""The Celery application. Messages only say "there is work"; the database is the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
# Read when a worker or command loads torch. Its threads then sleep while they wait for each other:
# beside another busy process on the same cores, spinning made scoring two to four times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Celery would have each worker check every page and operation that it never serves, which is half
# of its start and 40 MB; `migrate` and `make lint` check them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("srt_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["refinement.pipeline"])
