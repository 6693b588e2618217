import os

from django.http import JsonResponse
from django.urls import path
from knox.auth import TokenAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from keyward.django.conf import validator
from keyward.django.middleware import KeywardMiddleware, require_scopes
from keyward.django.permissions import HasScope


class Who(APIView):
    def get(self, request):
        return Response(
            {
                "username": request.user.get_username(),
                "key_id": request.auth.key_id,
                "process": os.getpid(),
                "from_memory": validator().counts.memory,
            }
        )


class Orders(APIView):
    permission_classes = (HasScope.of("orders:read"),)

    def get(self, request):
        return Response({"orders": []})


class Open(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request):
        return Response({"orders": []})


class Knox(Open):
    authentication_classes = (TokenAuthentication,)
    permission_classes = Who.permission_classes


def plain(request):
    return JsonResponse({"username": request.user.get_username(), "scopes": request.keyward.scopes})


class _Judged:
    """The middleware, around one view."""

    def __init__(self, view):
        self._judged = KeywardMiddleware(require_scopes("orders:read")(view))

    def __call__(self, request):
        return self._judged(request)


urlpatterns = [
    path("who", Who.as_view()),
    path("orders", Orders.as_view()),
    path("open", Open.as_view()),
    path("knox", Knox.as_view()),
    path("plain", _Judged(plain)),
]
