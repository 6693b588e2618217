"""
A Smarter platform's project on the web, with views that each ask somebody else whether a key may pass: `web:application` for
gunicorn, `web:asgi` for uvicorn. The environment names the platform's database, and Keyward.
"""

import os

from platform_settings import configure

configure(
    apps=["keyward.django"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]},
    KEYWARD={
        "SERVERS": os.environ["KEYWARD_SERVER"],
        "TOKEN": os.environ["KEYWARD_TOKEN"],
        "TIMEOUT": 1.0,
        "SCHEMES": ["Token"],
        "USER": os.environ.get("KEYWARD_USER", "model"),
        "USER_SECONDS": int(os.environ.get("USER_SECONDS", "0")),
    },
)

from django.contrib.auth.models import User  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from drf.models import SmarterTokenAuthentication  # noqa: E402
from keyward.django.authentication import KeywardAuthentication  # noqa: E402
from keyward.django.conf import validator  # noqa: E402
from knox.auth import TokenAuthentication  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Nobody(BaseAuthentication):
    """Asks nobody: what is left is what the framework costs."""

    user = User(username="whoever")

    def authenticate(self, request):
        return self.user, None


class Open(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request):
        return Response({"username": request.user.get_username(), "process": os.getpid()})


def answered_by(authentication):
    return type("Judged", (Open,), {"authentication_classes": (authentication,), "permission_classes": APIView.permission_classes})


class Keyward(answered_by(KeywardAuthentication)):
    def get(self, request):
        response = super().get(request)
        response.data["from_memory"] = validator().counts.memory
        return response


urlpatterns = [
    path("open", Open.as_view()),
    path("nobody", answered_by(Nobody).as_view()),
    path("keyward", Keyward.as_view()),
    path("knox", answered_by(TokenAuthentication).as_view()),
    path("platform", answered_by(SmarterTokenAuthentication).as_view()),
]
application = get_wsgi_application()
asgi = get_asgi_application()
