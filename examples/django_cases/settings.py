"""Settings: the least that Django needs, and a database that both know."""

import os

from sqlalchemy.engine import make_url

PHONOBASE_DB = os.environ.get("PHONOBASE_DB", "sqlite:///cases.db")

_url = make_url(PHONOBASE_DB)
_database: dict[str, object]
if _url.get_backend_name() == "sqlite":
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _url.database,
        "OPTIONS": {
            # What phonobase's own engine does: pages for audio (only a new file heeds that), readers that
            # do not wait for writers, and the lock where a transaction begins.
            "init_command": "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
        },
    }
else:
    _database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.database,
        "USER": _url.username,
        "PASSWORD": _url.password,
        "HOST": _url.host or _url.query.get("host", ""),
        "PORT": _url.port or _url.query.get("port", ""),
    }

DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["examples.django_cases"]
ROOT_URLCONF = "examples.django_cases.urls"
SECRET_KEY = "an example keeps none"  # noqa: S105
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
