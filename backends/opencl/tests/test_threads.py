"""PoCL's threads are kept on cores of their own, where there is one for each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

threads = pytest.importorskip(
    "portax_opencl.threads", reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'", exc_type=ImportError
)
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system keeps no thread on a core")
#: How many of the threads that a device starts are on one core: at first, and after kernels, large and small.
SHOWN = """
import os, sys
before = set(os.listdir("/proc/self/task"))
import numpy as np, portax
device = portax.devices("opencl")[0]
started = [int(t) for t in set(os.listdir("/proc/self/task")) - before]
cores = len(os.sched_getaffinity(0))
large, small = (portax.device_put(np.ones(n, np.float32), device) for n in (1 << 21, 8))
f = portax.jit(lambda x: x + 1)

def placed():
    return sum(len(os.sched_getaffinity(t)) == 1 for t in started)

told = [placed()]
for x, times in ((small, 1), (large, 1), (small, 10), (large, 1), (small, 100), (large, 1)):
    for _ in range(times):
        portax.block_until_ready(f(x))
    told.append(placed())
print(cores, int("Portable" in device.launcher.device.platform.name), *told)
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


def test_each_thread_has_a_core_while_kernels_are_large(waiting):
    started, cores = waiting
    workers = threads.Threads(started)
    workers.launched(large=False)
    assert places(started) == [tuple(cores)] * len(cores)
    workers.launched(large=True)
    assert workers.apart and places(started) == [(core,) for core in cores]
    assert sorted(os.sched_getaffinity(0)) == cores  # and the one that asks has them all
    for turn in range(threads.PATIENCE):
        assert workers.apart, turn
        workers.launched(large=False)
    assert not workers.apart and places(started) == [tuple(cores)] * len(cores)
    workers.launched(large=True)
    assert workers.apart


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
    workers = threads.Threads(asked)
    for _ in range(2):
        workers.launched(large=True)
        assert not workers.apart and places(started) == [tuple(cores)] * len(cores)


@pytest.mark.parametrize("pin", ["0", "1"])
def test_those_of_a_device_are_told_from_others(pin):
    told = {**os.environ, "PORTAX_OPENCL_PIN": pin, "PORTAX_PLATFORMS": "opencl"}
    done = subprocess.run([sys.executable, "-c", SHOWN], env=told, capture_output=True, text=True, check=True)
    cores, pocl, *found = map(int, done.stdout.split())
    if cores == 1:
        pytest.skip("all threads are on one core here")
    moved = pin == "1" and pocl  # Intel's runtime starts them later
    assert found == ([0, 0, cores, cores, cores, 0, cores] if moved else [0] * 7)
