"""The API keys of a Smarter platform: knox tokens with a name and a switch."""

import uuid

from account.models import Described, UserProfile
from django.db import models
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


class KeyId(models.UUIDField):
    """A UUID, in MySQL and MariaDB as 32 characters: the platform's tables were made on MySQL."""

    def db_type(self, connection):
        return "char(32)" if connection.vendor == "mysql" else super().db_type(connection)

    def get_db_prep_value(self, value, connection, prepared=False):
        value = self.to_python(value)
        return value.hex if value is not None and connection.vendor == "mysql" else value


class NotStaff(Exception):
    pass


class SmarterAuthToken(AuthToken, Described):
    key_id = KeyId(default=uuid.uuid4, unique=True, editable=False)
    user_profile = models.ForeignKey(UserProfile, on_delete=models.CASCADE)
    is_active = models.BooleanField(default=True)
    last_used_at = models.DateTimeField(null=True)
    tags = models.JSONField(default=list)

    def save(self, *args, **kwargs):
        if not self.user.is_staff:
            raise NotStaff("API Keys can only be created for staff users.")
        super().save(*args, **kwargs)


class SmarterTokenAuthentication(TokenAuthentication):
    """Knox's check, and then the switch. Every use saves the whole row."""

    def authenticate_credentials(self, token):
        user, key = self.judge(token)
        self.note_use(key)
        return user, key

    def judge(self, token):
        user, knox = super().authenticate_credentials(token)
        key = SmarterAuthToken.objects.get(token_key=knox.token_key)
        if not key.is_active:
            raise AuthenticationFailed("Api key is not activated.")
        return user, key

    def note_use(self, key):
        key.last_used_at = timezone.now()
        key.save()
