"""The secrets of a Smarter platform, over its table. Their values are Fernet tokens."""

from account.models import Described, UserProfile
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import models
from taggit.managers import TaggableManager


class Secret(Described):
    user_profile = models.ForeignKey(UserProfile, on_delete=models.CASCADE)
    encrypted_value = models.BinaryField()
    expires_at = models.DateTimeField(null=True)
    last_accessed = models.DateTimeField(null=True)
    tags = TaggableManager(blank=True)

    class Meta:
        unique_together = [("user_profile", "name")]

    @staticmethod
    def encrypt(value):
        return Fernet(settings.SMARTER_FERNET_ENCRYPTION_KEY).encrypt(value.encode())

    def decrypt(self):
        """The value as text. Raises InvalidToken where the platform's key does not open it."""
        fernet = Fernet(settings.SMARTER_FERNET_ENCRYPTION_KEY)
        return fernet.decrypt(bytes(self.encrypted_value)).decode()
