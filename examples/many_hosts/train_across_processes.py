"""Train the network of ``digits.py`` in several processes, each of which reads its share of every batch.

The program is the same in every process. ``initialize`` finds the others; from then on the mesh has the devices of all
of them, the step of one device is jitted as it is, and the compiler finds the sum over processes. All end with the
parameters that one process alone finds, up to the order in which 32 numbers are added.

Started without more it starts itself twice, as a scheduler would on two machines. Each process is told where the first
one is, how many there are, and which it is:

    python examples/many_hosts/train_across_processes.py
    python examples/many_hosts/train_across_processes.py 10.0.0.1:1234 2 0
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

import portax as px
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

sys.path.insert(0, str(Path(__file__).parents[1]))
import digits

STEPS, BOUND = 40, 1e-6


def train(step, params, momentum, batches):
    for images, labels in batches:
        params, momentum, _ = step(params, momentum, images, labels)
    return params


def main(coordinator: str, processes: int, index: int, steps: int = STEPS) -> dict[str, float]:
    """What one of the processes does."""
    px.distributed.initialize(coordinator, num_processes=processes, process_id=index)
    me, count = px.process_index(), px.process_count()
    images, labels, _, _ = digits.data()
    start = digits.start(px.random.key(0))
    batches = [slice(i, i + digits.BATCH) for i in range(0, digits.BATCH * steps, digits.BATCH)]

    mesh = Mesh(np.array(px.devices()), ("data",))
    everywhere, cut = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))

    def share(of_all):
        """An array cut among all devices, of which this process has read its rows only."""
        mine = np.array_split(of_all, count)[me]
        return px.make_array_from_process_local_data(cut, mine)

    step = px.jit(digits.step, out_shardings=everywhere)
    state = px.device_put(start, everywhere)
    together = train(step, *state, [(share(images[b]), share(labels[b])) for b in batches])

    alone = train(digits.step, *start, [(images[b], labels[b]) for b in batches])
    gaps = px.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), together, alone)
    moved = px.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), alone, start[0])
    figures = {"difference": max(px.tree.leaves(gaps)), "moved": max(px.tree.leaves(moved))}
    print(f"process {me} of {count}, {px.device_count()} devices, {px.local_device_count()} of them here")
    print(f"parameters moved by as much as {figures['moved']:.2f}")
    print(f"largest difference from one process: {figures['difference']:.1e}")
    return figures


def start_all(count: int) -> int:
    """Start this program once for each process, on this machine; the greatest of their exit statuses."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    running = [subprocess.Popen([sys.executable, __file__, coordinator, str(count), str(i)]) for i in range(count)]
    return max(abs(process.wait()) for process in running)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(start_all(2))
    right = main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))["difference"] <= BOUND
    print("the same parameters" if right else f"NOT the same parameters within {BOUND}")
    sys.exit(not right)
