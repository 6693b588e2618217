"""Which invalidations came while something was being asked for."""

from keyward.token.v1.hold_verdicts_pb2 import HoldInvalidation

_MAX_REMEMBERED = 100
"""Of more invalidations than these while something is under way, all count as one of everything."""


class Overtaking:
    """Remembers invalidations that came while look-ups were under way, whose handles nobody knew yet.

    What a look-up brings is not kept if one of those may have meant it.
    """

    __slots__ = ("_dropped", "_told")

    def __init__(self) -> None:
        # The handles of each; None: anything may be meant.
        self._told: list[frozenset[int] | None] = []
        self._dropped = 0

    @property
    def now(self) -> int:
        """What a look-up has to remember that begins now."""
        return self._dropped + len(self._told)

    def add(self, told: HoldInvalidation) -> None:
        others = told.user_profile_ids or told.user_ids or told.account_ids or told.secret_ids
        is_of_handles_alone = told.handles and not (told.everything or others or told.all_secrets)
        self._told.append(frozenset(told.handles) if is_of_handles_alone else None)
        if len(self._told) > _MAX_REMEMBERED:
            self._dropped += len(self._told) - 1
            self._told = [None]

    def may_have_meant(self, since: int, handle: int | None = None) -> bool:
        """Whether what began at `since`, and has a handle if it is a token, may have been meant by one."""
        return any(
            told is None or (handle is not None and handle in told)
            for told in self._told[max(since - self._dropped, 0) :]
        )

    def nothing_under_way(self) -> None:
        """Forgets what no look-up has to know any more."""
        self._dropped += len(self._told)
        self._told.clear()
