"""PoCL's threads are kept on cores of their own, where there is one for each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from portax_opencl import threads

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system keeps no thread on a core")
SHOWN = """
import os, portax
before = set(os.listdir("/proc/self/task"))
portax.devices("opencl")
started = set(os.listdir("/proc/self/task")) - before
print(sorted(tuple(os.sched_getaffinity(int(t))) for t in started), sorted(os.sched_getaffinity(0)))
"""


@pytest.fixture
def waiting():
    """As many threads as there are cores, and their numbers; they wait."""
    done, numbers, cores = threading.Event(), [], sorted(os.sched_getaffinity(0))

    def wait():
        numbers.append(threading.get_native_id())
        done.wait()

    all_of_them = [threading.Thread(target=wait) for _ in cores]
    before = threads.running()
    for thread in all_of_them:
        thread.start()
    yield threads.running() - before, cores
    done.set()
    for thread in all_of_them:
        thread.join()


def places(numbers):
    return sorted(tuple(sorted(os.sched_getaffinity(n))) for n in numbers)


def test_each_thread_gets_a_core(waiting):
    started, cores = waiting
    assert threads.keep_apart(started)
    assert places(started) == [(core,) for core in cores]
    assert sorted(os.sched_getaffinity(0)) == cores  # and the one that asks has them all


@pytest.mark.parametrize("why", ["more", "fewer", "setting", "ended"])
def test_otherwise_all_stay_where_they_are(waiting, why, monkeypatch):
    started, cores = waiting
    asked = set(started)
    if why == "more":
        asked.add(threading.get_native_id())
    elif why == "fewer":
        asked.pop()
    elif why == "setting":
        monkeypatch.setenv("PORTAX_OPENCL_PIN", "0")
    else:  # the last of them is no thread any more
        asked.remove(max(asked))
        asked.add(2**22 + 1)
    assert not threads.keep_apart(asked)
    assert places(started) == [tuple(cores)] * len(cores)


@pytest.mark.parametrize("pin", ["0", "1"])
def test_those_of_a_device_are_told_from_others(pin):
    told = {**os.environ, "PORTAX_OPENCL_PIN": pin, "PORTAX_PLATFORMS": "opencl"}
    done = subprocess.run([sys.executable, "-c", SHOWN], env=told, capture_output=True, text=True, check=True)
    found, cores = done.stdout.split("] [")
    cores = [int(c) for c in cores.strip(" ]\n").split(",")]
    each = [(core,) for core in cores] if pin == "1" else [tuple(cores)] * len(cores)
    if found.count("(") != len(cores):
        pytest.skip("this OpenCL device starts no thread for each core")
    assert found.strip("[ ") == str(each).strip("[]")
