"""Processes find each other, or are told why not; and hear when one of them ends. Threads stand for processes here."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from portax.errors import ProcessError
from portax.runtime.processes import ENDED, Place, Watch
from portax.runtime.rollcall import roll, split_address


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def port():
    return free_port()


def place(port, index, count, *, patience=20.0, farewell=20.0):
    address = f"127.0.0.1:{port}"
    return Place(address, address, index, count, patience=patience, heartbeat=5.0, farewell=farewell)


def watch(where, **options):
    """A watch that notes the status instead of ending the process of the tests."""
    ended = []
    options.setdefault("grace", 30.0)
    made = Watch(where, end=ended.append, **options)
    return made, ended


def gathered(places):
    """What came of calling the roll: for each place its side, or the error."""

    def one(where):
        side = roll(where, watch(where)[0])
        side.gather()
        return side

    with ThreadPoolExecutor(len(places)) as threads:
        waiting = [threads.submit(one, where) for where in places]
        return [w.exception(timeout=30) or w.result() for w in waiting]


def begun(port, count, **options):
    """Processes that have begun, each with its watch and the statuses it would have ended with."""
    places = [place(port, i, count, **options) for i in range(count)]
    kept = [watch(where) for where in places]
    sides = [roll(where, seen) for where, (seen, _) in zip(places, kept, strict=True)]
    with ThreadPoolExecutor(count) as threads:
        others = [threads.submit(side.gather) for side in sides[1:]]
        sides[0].gather()
        sides[0].begin()
        for other in others:
            other.result(timeout=30)
    for side in sides[1:]:
        side.begin()
    return sides, [seen for seen, _ in kept], [ended for _, ended in kept]


def until(condition):
    """Wait until it holds; that it does in good time is the test."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def leave_all(sides):
    with ThreadPoolExecutor(len(sides)) as threads:
        for done in [threads.submit(side.leave, None) for side in sides]:
            done.result(timeout=30)


# Coming.


def test_all_who_agree_begin_and_leave_together(port):
    sides, watches, ended = begun(port, 3)
    leave_all(sides)
    assert [seen.lost for seen in watches] == [{}, {}, {}]
    assert ended == [[], [], []]


def test_a_process_alone_is_all_of_them(port):
    sides, watches, _ = begun(port, 1)
    leave_all(sides)
    assert watches[0].lost == {}


def test_a_member_may_come_before_the_first(port):
    with ThreadPoolExecutor(2) as threads:
        where = place(port, 1, 2)
        member = threads.submit(roll(where, watch(where)[0]).gather)
        time.sleep(0.1)
        first = place(port, 0, 2)
        chair = roll(first, watch(first)[0])
        chair.gather()
        chair.begin()
        member.result(timeout=30)


def test_another_number_of_processes_is_told_to_all(port):
    found = gathered([place(port, 0, 2), place(port, 1, 3)])
    for error in found:
        with pytest.raises(
            ProcessError, match="process 1 was started as one of 3 processes, and process 0 as one of 2"
        ):
            raise error


def test_a_number_that_two_have_is_told_to_all(port):
    found = gathered([place(port, 0, 3), place(port, 1, 3), place(port, 1, 3)])
    for error in found:
        with pytest.raises(ProcessError, match="two processes were started with process_id 1"):
            raise error


def test_who_does_not_come_is_named_to_all(port):
    found = gathered([place(port, 0, 4, patience=0.5), place(port, 2, 4)])
    for error in found:
        words = rf"processes 1, 3 have not come to 127.0.0.1:{port} within 0.5 seconds; 2 of 4 are there"
        with pytest.raises(ProcessError, match=words):
            raise error


def test_one_who_does_not_come_is_named(port):
    where = place(port, 0, 2, patience=0.2)
    with pytest.raises(ProcessError, match="process 1 has not come to"):
        roll(where, watch(where)[0]).gather()


def test_where_nobody_is_the_address_is_said(port):
    where = place(port, 1, 2, patience=0.3)
    words = rf"process 1 of 2 looked for process 0 at 127.0.0.1:{port} for 0.3 seconds, and nobody answers there"
    with pytest.raises(ProcessError, match=words):
        roll(where, watch(where)[0]).gather()


def test_who_says_nothing_is_not_waited_for(port):
    where = place(port, 1, 2, patience=0.3)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ProcessError, match="who answers there says nothing"):
        roll(where, watch(where)[0]).gather()


@contextlib.contextmanager
def speaking(port, text):
    """A server that says the same to all who come."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(text)

        threading.Thread(target=serve, daemon=True).start()
        yield


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[1]\n", b"\xff\n"])
def test_a_server_of_another_kind_is_told_from_the_first_process(port, text):
    where = place(port, 1, 2, patience=0.4)
    with speaking(port, text), pytest.raises(ProcessError, match="who answers there is not a process of portax's"):
        roll(where, watch(where)[0]).gather()


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\n\r\n", b'{"portax": 1, "process": "x", "of": 2}\n', b"x" * 70000])
def test_strangers_are_sent_away_and_the_others_still_waited_for(port, text):
    first, second = place(port, 0, 2), place(port, 1, 2)
    chair = roll(first, watch(first)[0])
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(chair.gather)
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(text)
            stranger.settimeout(10)
            with contextlib.suppress(ConnectionError):
                assert stranger.recv(1) == b""
        member = threads.submit(roll(second, watch(second)[0]).gather)
        waiting.result(timeout=30)
        chair.begin()
        member.result(timeout=30)


def test_who_goes_while_others_are_waited_for_may_come_again(port):
    first, second = place(port, 0, 3), place(port, 2, 3)
    chair = roll(first, watch(first)[0])
    with ThreadPoolExecutor(3) as threads:
        waiting = threads.submit(chair.gather)
        with socket.create_connection(("127.0.0.1", port)) as early:
            early.sendall(json.dumps({"portax": 1, "process": 1, "of": 3}).encode() + b"\n")
        time.sleep(0.1)
        others = [threads.submit(roll(w, watch(w)[0]).gather) for w in (place(port, 1, 3), second)]
        waiting.result(timeout=30)
        chair.begin()
        for other in others:
            other.result(timeout=30)


def test_what_fails_in_the_first_process_is_told_to_the_others(port):
    first, second = place(port, 0, 2), place(port, 1, 2)
    chair = roll(first, watch(first)[0])
    with ThreadPoolExecutor(1) as threads:
        member = threads.submit(roll(second, watch(second)[0]).gather)
        chair.gather()
        chair.refuse(OSError("the disk is full"))
        with pytest.raises(ProcessError, match="process 0 failed: OSError"):
            member.result(timeout=30)


def test_a_port_in_use_is_refused_where_it_is_asked_for(port):
    where = place(port, 0, 2)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(ProcessError, match=rf"process 0 cannot listen at 127.0.0.1:{port}: Address already in use"):
            roll(where, watch(where)[0])


def test_a_port_in_use_is_refused_on_all_addresses_too(port):
    where = Place(f"127.0.0.1:{port}", f"[::]:{port}", 0, 2)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ProcessError, match="Address already in use"):
        roll(where, watch(where)[0])


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":1234", "localhost:x", "localhost:70000"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(ProcessError, match="is not of the form host:port"):
        split_address(address)


def test_an_address_of_the_newer_kind_stands_in_brackets():
    assert split_address("[::1]:80") == ("::1", 80)


# Going.


def test_the_end_of_one_is_heard_by_all(port):
    sides, watches, _ = begun(port, 3)
    sides[2]._line.connection.shutdown(socket.SHUT_RDWR)
    for seen in watches[:2]:
        until(lambda seen=seen: seen.lost)
        with pytest.raises(ProcessError, match="process 2 has ended: its connection is closed, and this is process"):
            seen.check()


def test_why_one_ends_is_told_to_all(port):
    sides, watches, _ = begun(port, 3)
    sides[1].leave("has ended with ValueError: boom")
    until(lambda: watches[0].lost and watches[2].lost)
    with pytest.raises(ProcessError, match="process 1 has ended with ValueError: boom, and this is process 2 of 3"):
        watches[2].check()


def test_when_the_first_ends_the_others_end_at_once(port, capsys):
    sides, _, ended = begun(port, 2)
    for line in sides[0]._lines.values():
        line.connection.shutdown(socket.SHUT_RDWR)
    until(lambda: ended[1])
    assert ended[1] == [ENDED]
    words = capsys.readouterr().err
    assert "portax: process 0 has ended: its connection is closed. Process 1 of 2 ends too (status 75)" in words
    assert "it held what all of them are tied to" in words


def test_who_is_done_does_not_wait_for_ever(port):
    sides, _, _ = begun(port, 3, farewell=0.3)
    with pytest.raises(ProcessError, match=r"process 0 is done, and processes \[1, 2\] are not after 0.3 seconds"):
        sides[0].leave(None)
    with pytest.raises(ProcessError, match=r"process 1 is done, and others are not after 0\.3 seconds"):
        sides[1].leave(None)
    sides[2].leave(None)


def test_one_who_is_not_done_is_named(port):
    sides, _, _ = begun(port, 2, farewell=0.2)
    with pytest.raises(ProcessError, match="process 0 is done, and process 1 is not after"):
        sides[0].leave(None)


# Knowing.


def test_a_watch_that_is_not_heeded_ends_the_process(port, capsys):
    seen, ended = watch(place(port, 1, 4), grace=0.05)
    seen.lose(3, "has ended")
    until(lambda: ended)
    assert ended == [ENDED]
    words = capsys.readouterr().err
    assert "portax: process 3 has ended. Process 1 of 4 ends too (status 75): for 0.05 seconds it made no call" in words
    assert "It was at" in words


def test_a_watch_that_is_heeded_leaves_the_process_to_itself(port):
    seen, ended = watch(place(port, 1, 4), grace=0.1)
    seen.lose(3, "has ended")
    with pytest.raises(ProcessError):
        seen.check()
    time.sleep(0.2)
    assert not ended


def test_a_watch_knows_all_who_are_gone(port):
    seen, _ = watch(place(port, 1, 4))
    seen.lose(3, "has ended")
    seen.lose(0, "has ended with OSError: full")
    seen.lose(3, "has ended a second time")
    with pytest.raises(
        ProcessError, match="process 0 has ended with OSError: full and process 3 has ended, and this is"
    ):
        seen.check()


def test_news_is_waited_for_after_a_failure(port):
    seen, _ = watch(place(port, 1, 4))
    threading.Timer(0.05, seen.lose, (2, "has ended")).start()
    with pytest.raises(ProcessError, match="process 2 has ended"):
        seen.check_within(10)


def test_without_news_nothing_is_said(port):
    seen, _ = watch(place(port, 1, 4))
    seen.check_within(0.01)
    seen.check()
