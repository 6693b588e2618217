"""For views of Django itself: a middleware, and a decorator for views that need a key."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from keyward._decision import Refused, insufficient, unauthorized, undecided
from keyward._errors import KeywardError
from keyward._memory.verdict import Verdict
from keyward._texts import checked_scopes

from .conf import keyward_settings
from .users import judged


class KeywardMiddleware:
    """Judges the key of every request that presents one.

    `request.keyward` is the verdict, or None where no key is presented; with a key that passes, `request.user` is whose it is. Requests
    with a key that is refused are answered 401, and 503 where nobody can tell. It comes after Django's AuthenticationMiddleware.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._answer(request)
        refused = _judge(request)
        return self._get_response(request) if refused is None else _response(refused)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        refused = await sync_to_async(_judge, thread_sensitive=True)(request)
        if refused is not None:
            return _response(refused)
        response: HttpResponseBase = await self._get_response(request)
        return response


def require_scopes(*scopes: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets requests pass to a view whose key holds all of these scopes; any key, if there is none. It needs the middleware."""
    needed = checked_scopes(scopes)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        if asyncio.iscoroutinefunction(view):

            @functools.wraps(view)
            async def answer_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                refused = _lacking(request, needed)
                return await view(request, *args, **kwargs) if refused is None else _response(refused)

            return answer_async

        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refused = _lacking(request, needed)
            return view(request, *args, **kwargs) if refused is None else _response(refused)

        return answer

    return decorate


def _judge(request: Any) -> Refused | None:
    request.keyward = None
    try:
        presented = judged(request)
    except KeywardError as error:
        return undecided(error)
    if presented is None:
        return None
    verdict, user = presented
    if user is None:
        return unauthorized(keyward_settings().realm, is_presented=True)
    request.keyward = verdict
    request.user = user
    return None


def _lacking(request: Any, scopes: tuple[str, ...]) -> Refused | None:
    verdict: Verdict | None = request.keyward
    realm = keyward_settings().realm
    if verdict is None:
        return unauthorized(realm, is_presented=False)
    return None if verdict.covers(*scopes) else insufficient(realm, scopes)


def _response(refused: Refused) -> JsonResponse:
    return JsonResponse(refused.body, status=refused.status, headers=refused.headers)
