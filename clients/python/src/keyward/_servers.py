"""Which of several servers is asked, and whether it is asked again."""

import itertools
import time
from collections.abc import Iterable
from typing import Generic, TypeVar

import grpc

from ._errors import KeywardError
from ._safety import CONNECT_PATIENCE, backoff, is_passing

Channel = TypeVar("Channel")
Call = TypeVar("Call")


class Server(Generic[Channel]):
    """One server, with what is known of it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.calls: dict[str, object] = {}
        """What the library calls methods by, by their paths."""
        self.answered = False
        """Whether it answered when it was asked last."""
        self.state: grpc.ChannelConnectivity | None = None
        """What the library says of the connection, where it tells."""
        self._failures = 0
        self._lost_until = 0.0

    @property
    def rank(self) -> int:
        """Puts servers that can be reached, or were not tried, before those that are being tried, and those before the lost."""
        if time.monotonic() < self._lost_until or self.state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return 2
        return int(self.state is grpc.ChannelConnectivity.CONNECTING)

    def observe(self, state: grpc.ChannelConnectivity) -> None:
        """Takes what the library says of the connection."""
        self.state = state

    def reached(self) -> None:
        self.answered = True
        self._failures = 0
        self._lost_until = 0.0

    def lost(self) -> None:
        self.answered = False
        self._lost_until = time.monotonic() + backoff(self._failures)
        self._failures += 1


class Servers(Generic[Channel]):
    """All servers of a service, which are asked by turns."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.all = [Server(channel) for channel in channels]
        self._turns = itertools.count()

    def next(self, left: Server[Channel] | None = None) -> Server[Channel]:
        """The next in turn that is not known to be lost, and another than the one that failed, if there is one."""
        turn = next(self._turns) % len(self.all)
        return min(self.all[turn:] + self.all[:turn], key=lambda each: (each.rank, each is left))


class Attempts(Generic[Channel]):
    """The attempts at one call: with which server, for how long, and whether there is another one."""

    def __init__(self, servers: Servers[Channel], timeout: float, is_repeatable: bool) -> None:
        self._servers = servers
        self._deadline = time.monotonic() + timeout
        self._is_repeatable = is_repeatable
        self._number = 0
        self._is_token_fresh = False
        self._is_impatient = False
        self.server = servers.next()

    def limit(self) -> float:
        """How many seconds the attempt may take. Where no connection is known of, another server is tried soon."""
        left = max(self._deadline - time.monotonic(), 0.0)
        self._is_impatient = (
            self._is_repeatable
            and len(self._servers.all) > 1
            and not self.server.answered
            and left > CONNECT_PATIENCE
        )
        return CONNECT_PATIENCE if self._is_impatient else left

    def failed(self, error: KeywardError, *, has_other_token: bool) -> float | None:
        """How many seconds to wait before the next attempt; None if there is none."""
        if error.code is grpc.StatusCode.UNAUTHENTICATED and has_other_token and not self._is_token_fresh:
            self._is_token_fresh = True
            return 0.0
        ran_out = self._is_impatient and error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        if not ran_out and error.code is not grpc.StatusCode.UNAVAILABLE:
            self.server.reached()
            return None
        self.server.lost()
        wait = backoff(self._number)
        if (
            not self._is_repeatable
            or not (ran_out or is_passing(error))
            or time.monotonic() + wait >= self._deadline
        ):
            return None
        self._number += 1
        self.server = self._servers.next(self.server)
        return wait
