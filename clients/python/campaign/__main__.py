"""A client's process of the fault campaign: a program of a service that judges tokens in its own memory.

It asks all the time, and reports what it was answered. It speaks, as lines of JSON over the descriptor that NODE_CHANNEL_FD names, what
test/fault/campaign/clients/commands.ts describes. Threads ask; with `--asyncio` it is an event loop that does.
"""

import asyncio
import json
import os
import socket
import sys
import threading
import time
import traceback
from typing import Any

from asking import Asking, Known, machine_now

import keyward
import keyward._holding
import keyward.aio

REPORT_EVERY = 0.02
"""In seconds."""
MAX_LINE = 16 * 1024 * 1024


class Program:
    """Does what the campaign says."""

    asking: Asking
    pace: float

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def open(self, options: dict[str, Any]) -> None:
        self.pace = options["paceMs"] / 1e3
        chosen = keyward.ClientOptions(
            servers=options["servers"], token=options["token"], timeout=options["timeoutMs"] / 1e3
        )
        validator = self.validator(chosen, options["label"])
        self.asking = Asking(validator, seed=options["seed"], stretch=options["stretch"])
        self.report({"opened": True})
        self.begin()

    def handle(self, command: dict[str, Any]) -> bool:
        """Tells whether more is to come."""
        if "open" in command:
            self.open(command["open"])
        elif "stepClock" in command:
            step_clock(command["stepClock"])
        elif "know" in command:
            self.asking.know(command["know"])
        elif "follow" in command:
            for known in command["follow"]:
                self.ask(known)
        elif "count" in command:
            self.report({"held": self.asking.held(command["count"])})
        return "finish" not in command

    def ask(self, known: Known | None) -> None:
        if known is not None and self.asking.ask(known):
            self.call(known)

    def tell(self) -> None:
        said = self.asking.taken()
        if said:
            self.report({"said": said})

    def finished(self) -> None:
        self.tell()
        self.report({"finished": True})

    def report(self, message: dict[str, Any]) -> None:
        raise NotImplementedError

    def validator(self, options: keyward.ClientOptions, label: str) -> Any:
        raise NotImplementedError

    def begin(self) -> None:
        """Begins to ask, and to tell."""
        raise NotImplementedError

    def call(self, known: Known) -> None:
        """Asks by a call, and does not wait for it."""
        raise NotImplementedError


class Threads(Program):
    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self._reporting = threading.Lock()
        threading.excepthook = lambda failure: fail(failure.exc_value)

    def report(self, message: dict[str, Any]) -> None:
        with self._reporting:
            self.channel.sendall(line_of(message))

    def validator(self, options: keyward.ClientOptions, label: str) -> keyward.Validator:
        self._validator = keyward.Validator(keyward.Client(options), label=label)
        return self._validator

    def begin(self) -> None:
        for repeat in (self._ask_on, self._tell_on):
            threading.Thread(target=repeat, daemon=True).start()

    def call(self, known: Known) -> None:
        threading.Thread(target=self._call, args=(known,), daemon=True).start()

    def run(self) -> None:
        with self.channel.makefile("rb") as commands:
            for line in commands:
                if not self.handle(json.loads(line)):
                    self._validator.close()
                    self.finished()
                    return

    def _ask_on(self) -> None:
        while True:
            self.ask(self.asking.pick())
            time.sleep(self.pace)

    def _tell_on(self) -> None:
        while True:
            self.tell()
            time.sleep(REPORT_EVERY)

    def _call(self, known: Known) -> None:
        started_at = machine_now()
        try:
            self.asking.answered(known, started_at, self._validator.validate(known["plaintext"]))
        except keyward.KeywardError as error:
            self.asking.failed(known, started_at, error)


class EventLoop(Program):
    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: asyncio.StreamWriter

    def report(self, message: dict[str, Any]) -> None:
        self._reports.write(line_of(message))

    def validator(self, options: keyward.ClientOptions, label: str) -> keyward.aio.Validator:
        self._validator = keyward.aio.Validator(keyward.aio.Client(options), label=label)
        return self._validator

    def begin(self) -> None:
        self._start(self._ask_on())
        self._start(self._tell_on())

    def call(self, known: Known) -> None:
        self._start(self._call(known))

    async def run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: fail(context.get("exception", context))
        )
        commands, self._reports = await asyncio.open_connection(sock=self.channel, limit=MAX_LINE)
        while line := await commands.readline():
            if not self.handle(json.loads(line)):
                await self._validator.close()
                self.finished()
                self._reports.close()
                await self._reports.wait_closed()
                return

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_on(self) -> None:
        while True:
            self.ask(self.asking.pick())
            await asyncio.sleep(self.pace)

    async def _tell_on(self) -> None:
        while True:
            self.tell()
            await asyncio.sleep(REPORT_EVERY)

    async def _call(self, known: Known) -> None:
        started_at = machine_now()
        try:
            self.asking.answered(known, started_at, await self._validator.validate(known["plaintext"]))
        except keyward.KeywardError as error:
            self.asking.failed(known, started_at, error)


def step_clock(milliseconds: float) -> None:
    """Sets the wall clock of this process to so much after the right time."""
    by = int(milliseconds * 1e6)
    keyward._holding._wall_clock = lambda: time.time_ns() + by


def line_of(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def fail(why: object) -> None:
    """Ends the process: whatever fails unseen in it, or in the client, is to be seen."""
    print(repr(why), file=sys.stderr)
    if isinstance(why, BaseException):
        traceback.print_exception(why)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
    if sys.argv[1:] == ["--asyncio"]:
        asyncio.run(EventLoop(channel).run())
    else:
        channel.setblocking(True)
        Threads(channel).run()
