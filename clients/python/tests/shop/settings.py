"""A Django project with REST framework whose keys are in Keyward. The environment says where."""

import os

SECRET_KEY = "unused"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "knox",
    "keyward.django",
]
MIDDLEWARE = []
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SHOP_DATABASE", ":memory:")}
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["keyward.django.authentication.KeywardAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
KEYWARD = {
    "SERVERS": os.environ.get("SHOP_KEYWARD", "127.0.0.1:50051"),
    "TOKEN_FILE": os.environ.get("SHOP_TOKEN_FILE"),
    "TIMEOUT": 1.0,
    "LABEL": "shop",
    "USER": os.environ.get("SHOP_USER", "model"),
    "USER_SECONDS": float(os.environ.get("SHOP_USER_SECONDS", "0")),
}
