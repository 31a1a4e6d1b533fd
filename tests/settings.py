"""The product's settings in a world of their own: no test meets a developer's data or servers.

Read before anything else of Django (``--ds`` in pyproject.toml). The environment is set, and not
only the settings, because processes that a test starts inherit it and read ``srt_web.settings``.
"""

import os

from tests.environment import prepare

prepare(os.environ)

from srt_web.settings import *  # noqa: E402, F403 - the environment had to come first
from srt_web.settings import DATA_DIR, DATABASES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: worker processes and live servers of a test open it too.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}

# This module is read by now; what tests start shall read the product's own.
os.environ["DJANGO_SETTINGS_MODULE"] = "srt_web.settings"

WHITENOISE_AUTOREFRESH = True  # finds a static file when asked: each new test client read them all
PASSWORD_HASHERS = ["tests.environment.QuickHasher"]
