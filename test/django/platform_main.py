"""
Performs what a Smarter platform does, with real Django, REST framework, knox, taggit and cryptography: it reads requests
from standard input, one JSON object a line, and answers each with one line. The environment names the database.
"""

import json
import sys
from datetime import timedelta

from platform_settings import configure

configure()

from account.models import UserProfile  # noqa: E402
from cryptography.fernet import InvalidToken  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import ObjectDoesNotExist  # noqa: E402
from django.db import Error, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402
from drf.models import NotStaff, SmarterAuthToken, SmarterTokenAuthentication  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.test import APIRequestFactory  # noqa: E402
from secret.models import Secret  # noqa: E402


# --- Users


def create_user(username, account):
    user = User.objects.create_user(username=username, is_staff=True)
    profile = UserProfile.objects.create(user=user, account_id=account, name=username)
    return {"id": user.id, "profile": profile.id}


def switch_user(id, on):
    user = User.objects.get(id=id)
    user.is_active = on
    user.save()


def delete_user(id):
    User.objects.get(id=id).delete()


# --- Keys


def key_of(key_id):
    return SmarterAuthToken.objects.get(key_id=key_id)


def create_key(profile, name):
    owner = UserProfile.objects.get(id=profile)
    key, token = SmarterAuthToken.objects.create(user=owner.user, user_profile=owner, name=name)
    return {"keyId": str(key.key_id), "token": token}


def rename_key(key_id, name):
    key = key_of(key_id)
    key.name = name
    key.save()


def switch_key(key_id, on):
    key = key_of(key_id)
    key.is_active = on
    key.save()


def edit_key(key_id, description, tags, days):
    key = key_of(key_id)
    key.description = description
    key.tags = tags
    key.expiry = None if days is None else timezone.now() + timedelta(days=days)
    key.save()


def rotate_key(key_id):
    """A key under another digest is another row: knox has no rotation."""
    old = key_of(key_id)
    old.delete()
    kept = ["key_id", "user", "user_profile", "name", "description", "version", "annotations", "tags", "is_active"]
    _, token = SmarterAuthToken.objects.create(**{field: getattr(old, field) for field in kept})
    return {"token": token}


def delete_key(key_id):
    key_of(key_id).delete()


# --- Secrets


def create_secret(profile, name, value):
    secret = Secret.objects.create(user_profile_id=profile, name=name, encrypted_value=Secret.encrypt(value))
    secret.tags.add("made there")
    return {"id": secret.id}


def change_value(id, value):
    secret = Secret.objects.get(id=id)
    secret.encrypted_value = Secret.encrypt(value)
    secret.save()


def rename_secret(id, name):
    secret = Secret.objects.get(id=id)
    secret.name = name
    secret.save()


def tag_secret(id, tags):
    secret = Secret.objects.get(id=id)
    secret.tags.set(tags)
    secret.save()


def read_secret(id):
    secret = Secret.objects.get(id=id)
    secret.last_accessed = timezone.now()
    secret.save()
    return {"value": secret.decrypt()}


def delete_secret(id):
    Secret.objects.get(id=id).delete()


# --- Verdicts

FACTORY = APIRequestFactory()


def verdict(token):
    """What the platform says of a key, as one who sends it in a header learns it."""
    request = Request(FACTORY.get("/", headers={"Authorization": f"Token {token}"}))
    try:
        user, _ = SmarterTokenAuthentication().authenticate(request)
        return {"verdict": "OK", "user": user.username}
    except AuthenticationFailed as refusal:
        return {"verdict": str(refusal.detail)}
    except (NotStaff, SmarterAuthToken.DoesNotExist, SmarterAuthToken.MultipleObjectsReturned):
        return {"verdict": "FAILS"}


def use_key(token):
    return verdict(token)


def judge(tokens):
    """The verdicts, without what judging leaves behind: knox deletes expired keys."""
    verdicts = []
    for token in tokens:
        with transaction.atomic():
            verdicts.append(verdict(token))
            transaction.set_rollback(True)
    return {"verdicts": verdicts}


UNDER_WAY = []


def begin_use(token):
    """A request that has read its key, and has not saved it yet."""
    authentication = SmarterTokenAuthentication()
    try:
        _, key = authentication.judge(token.encode())
    except AuthenticationFailed as refusal:
        return {"verdict": str(refusal.detail)}
    UNDER_WAY.append((authentication, key))
    return {"verdict": "OK"}


def end_uses():
    while UNDER_WAY:
        authentication, key = UNDER_WAY.pop()
        try:
            authentication.note_use(key)
        except (Error, NotStaff):
            pass  # The owner is gone, or the key has another digest: the request fails.


# --- Lists


def time(value):
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def list_keys():
    return {
        "keys": [
            {
                "keyId": str(key.key_id),
                "owner": key.user_profile.user.username,
                "name": key.name,
                "description": key.description or "",
                "tags": key.tags,
                "isActive": key.is_active,
                "expiresAt": time(key.expiry),
                "lastUsedAt": time(key.last_used_at),
            }
            for key in SmarterAuthToken.objects.select_related("user_profile__user")
        ]
    }


def list_secrets():
    return {
        "secrets": [
            {
                "id": secret.id,
                "owner": secret.user_profile.user.username,
                "name": secret.name,
                "description": secret.description or "",
                "tags": sorted(secret.tags.names()),
                "expiresAt": time(secret.expires_at),
                "lastAccessedAt": time(secret.last_accessed),
                "value": readable(secret),
            }
            for secret in Secret.objects.select_related("user_profile__user")
        ]
    }


def readable(secret):
    try:
        return secret.decrypt()
    except (InvalidToken, UnicodeDecodeError):
        return None


def list_users():
    return {"users": [{"username": user.username, "isActive": user.is_active} for user in User.objects.all()]}


OPERATIONS = [
    *(create_user, switch_user, delete_user),
    *(create_key, rename_key, switch_key, edit_key, rotate_key, delete_key, use_key, begin_use, end_uses),
    *(create_secret, change_value, rename_secret, tag_secret, read_secret, delete_secret),
    *(judge, list_keys, list_secrets, list_users),
]
# Requests of the platform are not transactions; operations of several statements are.
WITHOUT_TRANSACTION = {"use_key", "begin_use", "end_uses", "judge"}


def answer(name, arguments):
    operation = {each.__name__: each for each in OPERATIONS}[name]
    try:
        if name in WITHOUT_TRANSACTION:
            return operation(**arguments) or {}
        with transaction.atomic():
            return operation(**arguments) or {}
    except (Error, ObjectDoesNotExist, NotStaff, InvalidToken, UnicodeDecodeError) as refusal:
        return {"refused": type(refusal).__name__, "why": str(refusal).split("\n")[0]}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(answer(request.pop("operation"), request)), flush=True)
