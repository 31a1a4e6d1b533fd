"""Settings, all from the environment, each with a default that suits `manage.py up`.

Names begin with SRT_, except DATABASE_URL, which every host knows. `docs/settings.md` lists them.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from environs import Env, validate
from pythonjsonlogger.core import RESERVED_ATTRS

from srt_web.csp import content_security_policy
from srt_web.oidc import oidc_settings
from srt_web.secret_key import read_or_make_secret_key

env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("SRT_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()

# -- Doors ----------------------------------------------------------------------------------------
DEBUG = env.bool("SRT_DEBUG", default=False)
SECRET_KEY = env.str("SRT_SECRET_KEY", default="") or read_or_make_secret_key(DATA_DIR)
ALLOWED_HOSTS: list[str] = env.list(
    "SRT_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"]
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("SRT_CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("SRT_HTTPS", default=False)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Being on the browsers' own list is for whoever owns the domain to want, and hard to undo.
SECURE_HSTS_PRELOAD = env.bool("SRT_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
# The prefix makes browsers take these cookies from this host alone, over HTTPS alone.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrftoken"
SESSION_COOKIE_AGE = env.int("SRT_SESSION_HOURS", default=14 * 24) * 3600
CONTENT_SECURITY_POLICY = content_security_policy()
# Every proxy in front appends the address it was asked from; what stands before those was sent by
# whoever asked, and may be anything.
TRUSTED_PROXIES = env.int("SRT_TRUSTED_PROXIES", default=1 if HTTPS else 0)
# Wrong passwords for one name from one address: then that pair waits. Others are not shut out.
AXES_FAILURE_LIMIT = env.int("SRT_LOGIN_FAILURES", default=5)
AXES_COOLOFF_TIME = timedelta(minutes=env.int("SRT_LOGIN_PAUSE_MINUTES", default=15))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "srt_web.client_address.client_address"
AXES_LOCKOUT_CALLABLE = "refinement.web.accounts.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True  # AuditEvent keeps who signed in
AXES_VERBOSE = False
# A provider that people may sign in through as well; without an issuer there is none.
OIDC = oidc_settings(
    issuer=env.str("SRT_OIDC_ISSUER", default=""),
    client_id=env.str("SRT_OIDC_CLIENT_ID", default=""),
    client_secret=env.str("SRT_OIDC_CLIENT_SECRET", default=""),
    name=env.str("SRT_OIDC_NAME", default=""),
    domains=env.list("SRT_OIDC_DOMAINS", default=[]),
    sign_up=env.bool("SRT_OIDC_SIGN_UP", default=False),
)
SOCIALACCOUNT_ADAPTER = "refinement.web.oidc.SignInAdapter"

# -- The application ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth.account",  # no page of its own has an address: see refinement/web/oidc.py
    "allauth.socialaccount",
    "axes",
    "csp",
    "django_htmx",
    "refinement",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "refinement.web.wrong_way.SignInFirstMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "refinement.web.wrong_way.NotAPageMiddleware",
    "refinement.web.middleware.AuditMiddleware",
    "axes.middleware.AxesMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
ROOT_URLCONF = "srt_web.urls"
WSGI_APPLICATION = "srt_web.wsgi.application"
ASGI_APPLICATION = "srt_web.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["refinement.templatetags.refinement_ui"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

AUTH_USER_MODEL = "refinement.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # each in its own words
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("SRT_TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

# -- Data -----------------------------------------------------------------------------------------
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(
        env.str("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'srt.sqlite3'}"),
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # WAL lets readers go on while one process writes; IMMEDIATE makes writers queue, not fail.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # serves STATICFILES_DIRS as they are: no collectstatic, no copy
UPLOAD_LIMIT_BYTES = env.int("SRT_UPLOAD_LIMIT_BYTES", default=5 * 1024**3)
RECORD_LIMIT_BYTES = env.int("SRT_RECORD_LIMIT_BYTES", default=16 * 1024**2)
# A folder on the server from which admins may import; empty: there is none.
IMPORT_FOLDER = env.str("SRT_IMPORT_FOLDER", default="")
# A form without its files: an edited pair of a million characters, each up to 12 bytes as sent.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024**2
FILE_UPLOAD_HANDLERS = ["refinement.web.uploads.LimitedUploadHandler"]
FILE_UPLOAD_TEMP_DIR = env.str("SRT_UPLOAD_TEMP_DIR", default=None)

# -- Workers --------------------------------------------------------------------------------------
BROKER_URL = env.str("SRT_BROKER_URL", default="redis://127.0.0.1:6390/0")
CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker as long as it takes
# A sender tries once more, at once, and goes on without the broker: the sweeper sends it again.
# Kombu's own patience, six seconds for each message, was waited for by people and by workers' ends.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 10,
    "max_retries": 1,
    "interval_start": 0,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "refinement.teach": {"queue": "teacher"},
    "refinement.score": {"queue": "student"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
SWEEP_SECONDS = env.float("SRT_SWEEP_SECONDS", default=5.0)
CELERY_BEAT_SCHEDULE = {
    # A sweep that could not run for a minute is dropped: others were sent since.
    "sweep": {"task": "refinement.sweep", "schedule": SWEEP_SECONDS, "options": {"expires": 60}}
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
LEASE_SECONDS = env.float("SRT_LEASE_SECONDS", default=60.0)
REVIEW_LEASE_SECONDS = env.float("SRT_REVIEW_LEASE_SECONDS", default=120.0)

# What Prometheus sends as a bearer to /metrics; empty: only admins may look.
METRICS_TOKEN = env.str("SRT_METRICS_TOKEN", default="")

# A collector of OpenTelemetry, such as http://collector:4318; empty: nothing is traced.
OTEL_ENDPOINT = env.str("SRT_OTEL_ENDPOINT", default="")

# -- API -----------------------------------------------------------------------------------------
API_REQUESTS_PER_MINUTE = env.int("SRT_API_REQUESTS_PER_MINUTE", default=600)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Shared by all web processes. Where it is down, nobody is counted (refinement/api/limits.py).
    "limits": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": BROKER_URL,
        "KEY_PREFIX": "srt",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    },
}

# -- Models ---------------------------------------------------------------------------------------
EMBEDDED_MODEL_DIR = Path(
    env.str("SRT_EMBEDDED_MODEL_DIR", default=str(DATA_DIR / "models" / "smollm2-135m-instruct"))
)
EMBEDDED_TEACHER_URL = env.str("SRT_EMBEDDED_TEACHER_URL", default="http://127.0.0.1:8791/v1")
EMBEDDED_TEACHER_SERVER = env.str(
    "SRT_EMBEDDED_TEACHER_SERVER",
    default="auto",
    validate=validate.OneOf(["auto", "llama", "transformers"]),
)
# Beside public addresses and the embedded one: networks in which teachers may be.
TEACHER_NETWORKS: list[str] = env.list("SRT_TEACHER_NETWORKS", default=[])
WEBHOOK_NETWORKS: list[str] = env.list("SRT_WEBHOOK_NETWORKS", default=[])
STUDENT_DEVICE = env.str("SRT_STUDENT_DEVICE", default="auto")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"about": {"()": "srt_web.logs.About"}},
    "formatters": {
        "line": {
            "()": "srt_web.logs.Lines",
            "format": "{asctime} {levelname} {name}{about} {message}",
            "style": "{",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "json_ensure_ascii": False,
            "reserved_attrs": [*RESERVED_ATTRS, "about"],
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.str("SRT_LOG_FORMAT", default="line"),
            "filters": ["about"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("SRT_LOG_LEVEL", default="INFO")},
    "loggers": {name: {"level": "WARNING"} for name in ("axes", "httpx", "httpx2")},
}
