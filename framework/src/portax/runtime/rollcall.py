"""Calling the roll of processes that are to work together, and hearing of the end of each.

The first process listens at the coordinator's address. Each of the others comes and says which it is and how many it
thinks there are; when all are there and agree, each is told to begin. Whatever does not fit is told to all in words, so
that nobody waits for a job that cannot begin. The connections stay open, and nothing is said on them until the end:
when a process dies, its machine closes its connection, the first process tells the others, and all of them know in
milliseconds. A machine that vanishes is found by TCP's own keep-alive messages.

The messages are JSON objects, one to a line:

========================================  ==============================================================
``{"portax": 1, "process": i, "of": n}``  to the first: I am here
``{"refused": [wrong, fix]}``             to the others: the job does not begin, and why
``{"begin": 1}``                          to the others: all are here, and the first one serves
``{"lost": i, "why": words}``             to the others: that process is gone
``{"bye": null}`` or ``{"bye": words}``   to the first: I am done; or: I end, and why
``{"over": 1}``                           to the others: all are done
========================================  ==============================================================
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from typing import Any

from portax.errors import PortaxError, ProcessError
from portax.runtime.processes import Place, Watch

_LONGEST = 1 << 16
_FIX_START = "Start all processes with the same coordinator_address and num_processes, each with its own process_id"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; brackets around an IPv6 address are taken off."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ProcessError(
            wrong=f"the address {address!r} is not of the form host:port",
            fix="Give the host of the first process and a free port on it, such as '10.0.0.1:1234'",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


class Line:
    """A connection that carries JSON objects, one to a line."""

    def __init__(self, connection: socket.socket, heartbeat: float) -> None:
        self.connection, self._rest, self._lock = connection, b"", threading.Lock()
        _keep_alive(connection, heartbeat)

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, **message: Any) -> None:
        """Send a message. To somebody who is gone it is lost: who reads from the line finds that out."""
        try:
            with self._lock:
                self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have come, at least a part of one; waits for it.

        Raises
        ------
        OSError
            The other side is gone (``EOFError`` is not one), or too slow for the connection's timeout.
        ValueError
            It says what nobody here says.
        """
        data = self.connection.recv(_LONGEST)
        if not data:
            raise ConnectionResetError("closed")
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            raise ValueError("a line without an end")
        messages = [json.loads(line) for line in lines]
        if not all(isinstance(message, dict) for message in messages):
            raise ValueError("not an object")
        return messages

    def close(self) -> None:
        self.connection.close()


def _keep_alive(connection: socket.socket, heartbeat: float) -> None:
    """Let TCP find out, within about ``heartbeat`` seconds, that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    step = max(1, int(heartbeat / 4))
    for option, value in (("TCP_KEEPIDLE", step), ("TCP_KEEPINTVL", step), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # each system has its own names
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Roll:
    """What both sides share: the watch, a thread that reads, and how it ends."""

    def __init__(self, place: Place, watch: Watch) -> None:
        self.place, self.watch = place, watch
        self._over = threading.Event()

    def begin(self) -> None:
        """Say, or hear, that the job begins; listen from now on."""
        raise NotImplementedError

    def leave(self, why: str | None) -> None:
        """Say that this process is done, and wait until all are; or that it ends, and why.

        Raises
        ------
        ProcessError
            Others are not done for too long.
        """
        raise NotImplementedError

    def _listen_aside(self) -> None:
        threading.Thread(target=self._listen, name="portax-roll", daemon=True).start()

    def _listen(self) -> None:
        raise NotImplementedError

    def _late(self, missing: str) -> ProcessError:
        return ProcessError(
            wrong=f"process {self.place.index} is done, and {missing} after {self.place.farewell:g} seconds",
            fix="Give a longer shutdown_timeout_seconds where processes end at different times",
        )


class Chair(Roll):
    """The first process: it calls the roll.

    Raises
    ------
    ProcessError
        The port is in use, or the address not this machine's.
    """

    def __init__(self, place: Place, watch: Watch) -> None:
        super().__init__(place, watch)
        self._lines: dict[int, Line] = {}
        self._done: set[int] = set()
        self._lock = threading.Lock()
        self._listener = _listener(place.bind)

    def gather(self) -> None:
        """Wait until all have come.

        Raises
        ------
        ProcessError
            Some did not, or do not agree. All who came are told the same.
        """
        end = time.monotonic() + self.place.patience
        try:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._listener, selectors.EVENT_READ)
                while len(self._lines) < self.place.count - 1:
                    left = end - time.monotonic()
                    if left <= 0:
                        raise self._missing()
                    for key, _ in waiting.select(left):
                        if key.fileobj is self._listener:
                            self._accept(waiting)
                        else:
                            self._hear(waiting, key.fileobj)
        except BaseException as error:
            self.refuse(error)
            raise
        finally:
            self._listener.close()

    def _accept(self, waiting: selectors.BaseSelector) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # whoever knocked is gone again
            return
        waiting.register(Line(connection, self.place.heartbeat), selectors.EVENT_READ)

    def _hear(self, waiting: selectors.BaseSelector, line: Any) -> None:
        """Read what somebody says who came; strangers are sent away."""
        try:
            for message in line.receive():
                self._admit(line, message)
        except (OSError, ValueError):
            waiting.unregister(line)
            line.close()
            for index in [i for i, known in self._lines.items() if known is line]:
                del self._lines[index]  # perhaps it comes again

    def _admit(self, line: Line, message: dict[str, Any]) -> None:
        index, count = message.get("process"), message.get("of")
        if message.get("portax") != 1 or not isinstance(index, int) or not isinstance(count, int) or index < 0:
            raise ValueError("a stranger")
        taken = index in self._lines or index == 0
        self._lines.setdefault(index if not taken else -1 - len(self._lines), line)  # to be told of a refusal
        if count != self.place.count:
            raise ProcessError(
                wrong=f"process {index} was started as one of {count} processes, and process 0 as one of "
                f"{self.place.count}",
                fix="Give the same num_processes to all of them",
            )
        if taken:
            raise ProcessError(
                wrong=f"two processes were started with process_id {index}",
                fix=f"Give each its own, from 0 to {self.place.count - 1}",
            )

    def _missing(self) -> ProcessError:
        missing = [i for i in range(1, self.place.count) if i not in self._lines]
        named = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        which = f"process {named} has" if len(missing) == 1 else f"processes {named} have"
        return ProcessError(
            wrong=f"{which} not come to {self.place.coordinator} within {self.place.patience:g} seconds; "
            f"{len(self._lines) + 1} of {self.place.count} are there",
            fix=f"{_FIX_START}; or give a longer initialization_timeout",
        )

    def refuse(self, error: BaseException) -> None:
        """Tell all who came that the job does not begin."""
        words = (error.wrong, error.fix) if isinstance(error, PortaxError) else (f"process 0 failed: {error!r}", "")
        for line in self._lines.values():
            line.send(refused=words)
            line.close()

    def begin(self) -> None:
        for line in self._lines.values():
            line.send(begin=1)
        self._listen_aside()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as waiting:
            for index, line in self._lines.items():
                waiting.register(line, selectors.EVENT_READ, index)
            while waiting.get_map():
                for key, _ in waiting.select():
                    line: Any = key.fileobj
                    try:
                        for message in line.receive():
                            if "bye" in message:
                                self._bye(key.data, message["bye"])
                    except (OSError, ValueError):
                        waiting.unregister(line)
                        self._bye(key.data, "has ended: its connection is closed")
        self._over.set()

    def _bye(self, index: int, why: str | None) -> None:
        """A process, perhaps this one, is done; or it ends for a reason, of which all others are told."""
        with self._lock:
            if index in self._done:
                return
            self._done.add(index)
            everyone = len(self._done) == self.place.count
        if why is not None:
            if index != self.place.index:
                self.watch.lose(index, why)
            for other, line in self._lines.items():
                if other != index:
                    line.send(lost=index, why=why)
        if everyone:
            self._over.set()
            for line in self._lines.values():
                line.send(over=1)

    def leave(self, why: str | None) -> None:
        self._bye(self.place.index, why)
        if why is not None or self.watch.lost:
            self._over.wait(self.watch.grace)  # the others save what they have; what this process serves, they need
        elif not self._over.wait(self.place.farewell):
            missing = sorted(set(range(self.place.count)) - self._done)
            raise self._late(f"processes {missing} are not" if len(missing) > 1 else f"process {missing[0]} is not")


class Member(Roll):
    """One of the others: it comes when the roll is called."""

    refusal = ProcessError  # with the words of the first process

    def gather(self) -> None:
        """Go to the first process, and wait until all have come.

        Raises
        ------
        ProcessError
            Nobody is there, or the job does not begin.
        """
        end, seen = time.monotonic() + self.place.patience, "nobody answers there"
        host, port = split_address(self.place.coordinator)
        while (left := end - time.monotonic()) > 0:
            try:
                self._line = Line(socket.create_connection((host, port), timeout=left), self.place.heartbeat)
            except OSError as error:
                seen = f"nobody answers there ({error.strerror or error})"
                time.sleep(min(0.1, left))
                continue
            self._line.send(portax=1, process=self.place.index, of=self.place.count)
            try:
                if self._told_to_begin(end):
                    return
                seen = "who answers there says nothing"
            except (OSError, ValueError) as error:
                silent = isinstance(error, TimeoutError)
                seen = "who answers there says nothing" if silent else "who answers there is not a process of portax's"
                self._line.close()
                time.sleep(min(0.1, max(0.0, end - time.monotonic())))
        raise ProcessError(
            wrong=f"process {self.place.index} of {self.place.count} looked for process 0 at {self.place.coordinator} "
            f"for {self.place.patience:g} seconds, and {seen}",
            fix="Give as coordinator_address the host and port of process 0, and see that it runs and can be reached; "
            "or give a longer initialization_timeout",
        )

    def _told_to_begin(self, end: float) -> bool:
        while (left := end - time.monotonic()) > 0:
            self._line.connection.settimeout(left)
            for message in self._line.receive():
                if "refused" in message:
                    raise self.refusal(*message["refused"])
                if "begin" in message:
                    self._line.connection.settimeout(None)
                    return True
        return False

    def begin(self) -> None:
        self._listen_aside()

    def _listen(self) -> None:
        while True:
            try:
                for message in self._line.receive():
                    if "lost" in message:
                        self.watch.lose(message["lost"], message["why"])
                    elif "over" in message:
                        self._over.set()
                        return
            except (OSError, ValueError):
                self.watch.lose(0, "has ended: its connection is closed", all_is_lost=True)
                self._over.set()
                return

    def leave(self, why: str | None) -> None:
        self._line.send(bye=why)
        if why is None and not self.watch.lost and not self._over.wait(self.place.farewell):
            raise self._late("others are not")


def _listener(address: str) -> socket.socket:
    """A socket that listens, and shares the port with nobody."""
    host, port = split_address(address)
    anywhere = host in ("", "::", "0.0.0.0")
    try:
        if anywhere and socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        family = socket.AF_INET6 if ":" in host and not anywhere else socket.AF_INET
        return socket.create_server(("" if anywhere else host, port), family=family, backlog=1024)
    except OSError as error:
        raise ProcessError(
            wrong=f"process 0 cannot listen at {address}: {error.strerror or error}",
            fix="Give a port that no other program uses, and an address of this machine; coordinator_bind_address "
            "says where to listen if that is another than coordinator_address",
        ) from None


def roll(place: Place, watch: Watch) -> Chair | Member:
    """The roll as this process sees it."""
    return Chair(place, watch) if place.index == 0 else Member(place, watch)
