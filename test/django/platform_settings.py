"""The settings of a Smarter platform. The environment names its database."""

import os
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

ENGINES = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def host_of(url):
    """The host as it is written: of a socket's directory upper case matters."""
    address = url.netloc.rpartition("@")[2]
    return address if url.port is None else address.rpartition(":")[0]


def configure(*, apps=(), **others):
    """Sets Django up with the settings of a platform, and others."""
    url = urlsplit(os.environ["PLATFORM_DATABASE"])
    engine = ENGINES[url.scheme]
    if engine == "mysql":
        import pymysql

        pymysql.install_as_MySQLdb()
    settings.configure(
        USE_TZ=True,
        SECRET_KEY="unused",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SMARTER_FERNET_ENCRYPTION_KEY=os.environ["SMARTER_FERNET_ENCRYPTION_KEY"],
        REST_KNOX={"TOKEN_TTL": None},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "rest_framework",
            "taggit",
            "knox",
            "account",
            "secret",
            "drf",
            *apps,
        ],
        DATABASES={
            "default": {
                "ENGINE": f"django.db.backends.{engine}",
                "NAME": url.path.lstrip("/"),
                "HOST": unquote(host_of(url)),
                "PORT": url.port,
                "USER": unquote(url.username or ""),
                "PASSWORD": unquote(url.password or ""),
                "CONN_MAX_AGE": 60,
                **({"OPTIONS": {"charset": "utf8mb4"}} if engine == "mysql" else {}),
            }
        },
        **others,
    )
    django.setup()
