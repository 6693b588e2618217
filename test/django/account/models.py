"""The accounts of a Smarter platform, over its tables."""

from django.conf import settings
from django.db import models
from taggit.managers import TaggableManager


class Described(models.Model):
    created_at = models.DateTimeField(auto_now_add=True, null=True)
    updated_at = models.DateTimeField(auto_now=True, null=True)
    name = models.CharField(max_length=255)
    description = models.TextField(null=True)
    version = models.CharField(max_length=255, null=True)
    annotations = models.JSONField(null=True, default=list)

    class Meta:
        abstract = True


class Account(Described):
    account_number = models.CharField(max_length=255, unique=True, null=True)
    is_default_account = models.BooleanField(default=False)
    company_name = models.CharField(max_length=255)
    is_active = models.BooleanField(default=True)
    tags = TaggableManager(blank=True)


class UserProfile(Described):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    is_test = models.BooleanField(default=False)
    tags = TaggableManager(blank=True)

    class Meta:
        unique_together = [("user", "account")]
