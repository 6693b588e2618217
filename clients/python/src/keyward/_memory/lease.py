"""Until when a client may answer from memory."""

from dataclasses import dataclass, field

from keyward.token.v1.hold_verdicts_pb2 import HoldGrant, HoldPosition

from .moment import PAST, Moment, nanoseconds

_MAX_UNANSWERED = 64
"""Renewals that may be unanswered at a time."""


@dataclass(slots=True)
class _Renewals:
    number: int = 0
    sent: dict[int, Moment] = field(default_factory=dict)
    """When those were sent that are not answered."""


class Lease:
    """Counts from before its renewal was sent, by whichever clock is over first.

    What was learned on a stream is registered with the replica of that stream, and with those that it was named to since. So a lease
    counts for what was learned on its own stream or on one before, and not for what a later one brought.
    """

    __slots__ = ("_renewals", "newest", "position", "stream", "until")

    def __init__(self) -> None:
        self._renewals: dict[int, _Renewals] = {}
        self.newest = 0
        """The stream that was opened last."""
        self.stream = 0
        """The last stream that granted a lease."""
        self.until = PAST
        self.position: HoldPosition | None = None
        """Up to where everything that the client holds is right."""

    def is_held(self, now: Moment) -> bool:
        return not self.until.is_over(now)

    def covers(self, stream: int, now: Moment) -> bool:
        """Whether what was learned on a stream may be answered by."""
        return stream <= self.stream and not self.until.is_over(now)

    def open(self) -> int:
        """Begins a stream."""
        self.newest += 1
        self._renewals[self.newest] = _Renewals()
        return self.newest

    def end(self, stream: int) -> None:
        self._renewals.pop(stream, None)

    def renew(self, stream: int, now: Moment) -> int:
        """Notes the time before a renewal is sent, and gives its number."""
        renewals = self._renewals[stream]
        renewals.number += 1
        renewals.sent[renewals.number] = now
        if len(renewals.sent) > _MAX_UNANSWERED:
            del renewals.sent[next(iter(renewals.sent))]
        return renewals.number

    def granted(self, stream: int, grant: HoldGrant) -> bool:
        """Takes the answer to a renewal, and tells whether a lease was granted."""
        renewals = self._renewals.get(stream)
        sent = None if renewals is None else renewals.sent.pop(grant.number, None)
        # What a stream grants that has been followed by another one counts for less than that other's.
        if sent is None or not grant.HasField("lease") or stream < self.stream:
            return False
        until = sent.after(nanoseconds(grant.lease))
        if stream > self.stream or until.monotonic > self.until.monotonic:
            self.until = until
        self.stream = stream
        if grant.HasField("position"):
            self.position = grant.position
        return True

    def advance(self, stream: int, position: HoldPosition) -> None:
        """Takes the position of an invalidation that was applied."""
        if stream == self.stream:
            self.position = position

    def drop(self) -> None:
        """Gives the lease up. What is held is right up to no position any more."""
        self.until = PAST
        self.position = None
