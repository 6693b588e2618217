"""Times by both clocks of a machine."""

from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration


class Moment(NamedTuple):
    """A time by both clocks, in nanoseconds. Either may be turned, or stand still, alone."""

    monotonic: int
    """Since a moment that is nobody's business."""
    wall: int
    """Since 1970."""

    def after(self, nanoseconds: int) -> "Moment":
        """The moment that is so much later by either clock."""
        return Moment(self.monotonic + nanoseconds, self.wall + nanoseconds)

    def is_over(self, now: "Moment") -> bool:
        """Whether it has come by at least one clock."""
        return now.monotonic >= self.monotonic or now.wall >= self.wall


EVER = 1 << 80
NEVER = Moment(EVER, EVER)
"""It comes by neither clock."""
PAST = Moment(-EVER, -EVER)


def nanoseconds(span: Duration) -> int:
    """A span of the protocol, which may be negative."""
    return span.seconds * 1_000_000_000 + span.nanos


def duration(span: int) -> Duration:
    """Nanoseconds, which are not negative, as a span of the protocol."""
    seconds, nanos = divmod(span, 1_000_000_000)
    return Duration(seconds=seconds, nanos=nanos)
