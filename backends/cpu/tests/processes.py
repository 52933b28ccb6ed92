"""Programs in several processes on this machine, for tests: started together, waited for, and never left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time

#: What every program starts with. ``join()`` makes it one of the processes; it knows its number and how many there are.
HEAD = """
import json, os, signal, sys, time
import numpy as np
import portax as px
import portax.numpy as pnp
from portax.experimental import multihost_utils
from portax.sharding import Mesh, NamedSharding, PartitionSpec as P

ADDRESS, COUNT, ME = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def join(address=ADDRESS, count=COUNT, me=ME, **options):
    px.distributed.initialize(address, count, me, **{"initialization_timeout": 100, **options})

def refused(f, *args, **options):
    try:
        f(*args, **options)
    except px.errors.PortaxError as error:
        return f"{type(error).__name__}: {error.wrong}"
    return "not refused"

def tell(**found):
    print("FOUND " + json.dumps(found), flush=True)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Processes:
    """A program in ``count`` processes of ``devices`` devices each."""

    def __init__(self, folder, program, count, devices=1):
        self.folder, self.count = folder, count
        file = folder / "program.py"
        file.write_text(HEAD + textwrap.dedent(program))
        address = f"127.0.0.1:{free_port()}"
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PORTAX_", "XLA_", "SLURM_"))
        }
        environment = {**clean, "PORTAX_CPU_DEVICES": str(devices), "PORTAX_CACHE_DIR": str(folder / "cache")}
        self.running = []
        for index in range(count):
            with (folder / f"out{index}").open("w") as out, (folder / f"err{index}").open("w") as err:
                command = [sys.executable, str(file), address, str(count), str(index)]
                self.running.append(subprocess.Popen(command, env=environment, stdout=out, stderr=err))

    def out(self, index):
        return (self.folder / f"out{index}").read_text()

    def err(self, index):
        return (self.folder / f"err{index}").read_text()

    def told(self, index):
        """What a process told with ``tell``, each a dictionary of JSON."""
        marked = [line for line in self.out(index).splitlines() if "FOUND " in line]
        return [line[line.index("FOUND ") + 6 :] for line in marked]

    def until(self, condition, seconds):
        """Wait until it holds, at most so long; how long it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, self.report()
            time.sleep(0.05)
        return time.monotonic() - began

    def wait(self, seconds=150.0):
        """The exit statuses."""
        self.until(lambda: all(p.poll() is not None for p in self.running), seconds)
        return [p.returncode for p in self.running]

    def report(self):
        return "\n".join([f"-- process {i}: {p.poll()}\n{self.out(i)[-1500:]}\n{self.err(i)[-3000:]}"
                          for i, p in enumerate(self.running)])  # fmt: skip

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
