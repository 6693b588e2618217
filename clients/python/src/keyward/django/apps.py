from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save


class KeywardConfig(AppConfig):
    """Checks the setting KEYWARD when the project starts, and has changes of users count at once."""

    name = "keyward.django"
    label = "keyward"
    verbose_name = "Keyward"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .users import read_users

        for signal in (post_save, post_delete):
            signal.connect(read_users.forget, sender=get_user_model())
