import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from keyward._errors import KeywardError
from keyward.django.conf import client, keyward_settings, validator

_LEASE_SECONDS = 5.0
_GUESS = "keyward_check"


class Command(BaseCommand):
    help = "Asks Keyward for a verdict, and tells whether this service may judge in its own memory."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            servers = keyward_settings().client.addresses()
            client().with_options(timeout=keyward_settings().timeout).tokens.validate_token(
                token="keyward_check"
            )
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except KeywardError as error:
            raise CommandError(f"Keyward gives no verdict: {error}") from error
        self.stdout.write(f"Keyward answers at {', '.join(servers)}.")
        judge = validator()
        deadline = time.monotonic() + _LEASE_SECONDS
        while not judge.is_leased and time.monotonic() < deadline:
            judge.validate(_GUESS, timeout=keyward_settings().timeout)
            time.sleep(0.05)
        if judge.is_leased:
            self.stdout.write("This service judges in its own memory.")
        else:
            self.stdout.write(
                "Every verdict is a call: the token lacks the scope keyward.tokens.cache, or there is no lease."
            )
        judge.close()
