"""Several processes on this machine: what they compute together, and what they say when one of them is not there."""

from __future__ import annotations

import json
import signal

import pytest
from processes import Processes, free_port

from portax.backend import Place, ProcessError
from portax_pjrt.jaxlib import jobs
from portax_pjrt.jaxlib.versions import XLAError


@pytest.fixture
def together(tmp_path):
    """A function that starts a program in several processes; none outlives the test."""
    started = []

    def start(program, count, devices=1):
        started.append(Processes(tmp_path, program, count, devices))
        return started[-1]

    yield start
    for processes in started:
        processes.end()


def results(processes, seconds=150.0):
    """What all of them told at their end, having ended well."""
    assert set(processes.wait(seconds)) == {0}, processes.report()
    return [json.loads(processes.told(i)[-1]) for i in range(processes.count)]


ARRAYS = """
join()
N, L = px.device_count(), px.local_device_count()
ids = [d.id for d in px.devices()]
assert px.process_index() == ME and px.process_count() == COUNT and px.process_indices() == list(range(COUNT))
assert [d.process_index for d in px.devices()] == sorted(d.process_index for d in px.devices())
assert px.local_devices() == [d for d in px.devices() if d.process_index == ME]
assert px.local_devices(1 - ME) == [d for d in px.devices() if d.process_index != ME]
assert pnp.ones(2).device == px.local_devices()[0]

mesh = Mesh(np.array(px.devices()).reshape(COUNT, L), ("process", "device"))
assert mesh.is_multi_process and mesh.local_mesh.shape == {"process": 1, "device": L}
whole = np.arange(4 * N * 3, dtype=np.float32).reshape(4 * N, 3)
mine = whole.reshape(COUNT, -1, 3)[ME]
rows = NamedSharding(mesh, P(("process", "device")))
copies = NamedSharding(mesh, P())
gather = lambda x: multihost_utils.process_allgather(x, tiled=True)

# Made in every way there is.
asked = []
def part(index):
    asked.append(index)
    return whole[index]
made = {
    "callback": px.make_array_from_callback(whole.shape, rows, part, np.float32),
    "local": px.make_array_from_process_local_data(rows, mine),
    "all": px.make_array_from_process_local_data(rows, whole, whole.shape),
    "some told": px.make_array_from_process_local_data(rows, mine, (whole.shape[0], None)),
    "put": px.device_put(whole, rows),
    "parts": px.make_array_from_single_device_arrays(
        whole.shape, rows,
        [px.device_put(whole[i], d) for d, i in rows.addressable_devices_indices_map(whole.shape).items()]),
    "everywhere": px.make_array_from_process_local_data(copies, whole),
    "by columns of the local mesh": px.make_array_from_process_local_data(NamedSharding(mesh, P("device")), whole),
    "host local": multihost_utils.host_local_array_to_global_array(mine, mesh, P(("process", "device"))),
}
assert len(asked) == L
for name, x in made.items():
    assert x.shape == whole.shape and np.array_equal(gather(x), whole), name

# What one process sees of it.
x = made["local"]
assert not x.is_fully_addressable and not x.is_fully_replicated and x.sharding == rows
assert [s.device for s in x.addressable_shards] == px.local_devices()
assert all(np.array_equal(s.data, whole[s.index]) for s in x.addressable_shards)
assert [s.device for s in x.global_shards] == px.devices()
assert [s.data is None for s in x.global_shards] == [d.process_index != ME for d in px.devices()]
assert np.array_equal(x.addressable_data(L - 1), mine[-4:])
assert x.is_ready() in (True, False) and x.block_until_ready() is x
assert repr(x) == f"Array(shape={whole.shape}, dtype=float32)"
assert np.array_equal(np.asarray(made["everywhere"]), whole) and made["everywhere"].is_fully_replicated
assert np.array_equal(gather(x.clone()), whole)

# Computed with.
assert np.array_equal(gather(x + made["everywhere"]), 2 * whole)
assert float(px.jit(pnp.sum)(x)) == whole.sum()
assert np.array_equal(gather(px.jit(lambda x: x.T @ x, out_shardings=copies)(x)), whole.T @ whole)
for spec in (P("device"), P(None), P("process"), P(("device", "process"))):
    assert np.array_equal(gather(px.device_put(x, NamedSharding(mesh, spec))), whole), spec
local = px.jit(lambda a: a * 2)(x.addressable_data(0))
assert np.array_equal(local, 2 * mine[:4])
name = ("process", "device")
ring = px.shard_map(lambda a: px.lax.ppermute(a, name, [(i, (i + 1) % N) for i in range(N)]),
                    mesh=mesh, in_specs=P(name), out_specs=P(name))
assert np.array_equal(gather(ring(x)), np.roll(whole, 4, axis=0))
total = px.shard_map(lambda a: px.lax.psum(a, name), mesh=mesh, in_specs=P(name), out_specs=P())(x)
assert np.array_equal(np.asarray(total), whole.reshape(N, 4, 3).sum(0))
back = multihost_utils.global_array_to_host_local_array(x, mesh, P(name))
assert back.is_fully_addressable and np.array_equal(np.asarray(back), mine)

# pmap: slices of this process, an axis over all.
def of_one(a, b):
    return px.lax.psum(a, "i"), px.lax.axis_index("i"), a * b

summed, number, twice = px.pmap(of_one, "i", in_axes=(0, None))(whole[:L] + ME, 2.0)
assert summed.is_fully_addressable and np.allclose(summed, [sum((whole[:L] + i).sum(0) for i in range(COUNT))] * L)
assert np.asarray(number).tolist() == [ME * L + i for i in range(L)]
assert np.array_equal(twice, 2 * (whole[:L] + ME)) and set(twice.devices()) == set(px.local_devices())
assert np.array_equal(px.pmap(lambda a: px.lax.pmax(a, "i"), "i", out_axes=None)(np.full(L, ME)), COUNT - 1)
assert np.array_equal(px.pmap(lambda a: a + 1)(twice), twice + 1)
assert np.array_equal(px.pmap(lambda a: px.lax.psum(a, "i"), "i", devices=px.local_devices())(np.ones(L)), [L] * L)
assert px.pmap(lambda a: px.lax.psum(a, "i"), "i")(np.ones(1)).tolist() == [COUNT]

# Values of processes.
import ml_dtypes
own = {"x": np.full((2,), ME, np.int32), "b": np.array(ME == 0), "h": np.array([ME + 0.5], ml_dtypes.bfloat16),
       "none": np.zeros((0, 3), np.float32), "zero": np.float32(-0.0)}
found = multihost_utils.process_allgather(own)
assert found["x"].tolist() == [[i, i] for i in range(COUNT)] and found["b"].tolist() == [i == 0 for i in range(COUNT)]
assert found["h"].dtype == ml_dtypes.bfloat16 and found["none"].shape == (COUNT, 0, 3)
assert np.signbit(found["zero"]).all()
assert multihost_utils.process_allgather(own, tiled=True)["x"].shape == (2 * COUNT,)
assert multihost_utils.broadcast_one_to_all(own)["x"].tolist() == [0, 0]
last = multihost_utils.broadcast_one_to_all(own, is_source=ME == COUNT - 1)
assert last["x"].tolist() == [COUNT - 1] * 2 and last["h"][0] == COUNT - 0.5
multihost_utils.sync_global_devices("here")
multihost_utils.assert_equal({"seed": 3, "x": x})

# Refused.
foreign = px.local_devices(1 - ME)[0]
tell(
    whole=refused(np.asarray, x), print=refused(str, x), foreign=refused(px.device_put, 1.0, foreign),
    foreign_sharding=refused(px.device_put, 1.0, NamedSharding(Mesh(np.array(px.local_devices(1 - ME)), ("i",)), P())),
    moved=refused(px.device_put, x, NamedSharding(Mesh(np.array(px.local_devices()), ("i",)), P())),
    to_one=refused(px.device_put, x, px.local_devices()[0]),
    data=refused(px.make_array_from_process_local_data, rows, mine[1:], whole.shape),
    axes=refused(px.make_array_from_process_local_data, rows, mine, (8,)),
    parts=refused(px.make_array_from_single_device_arrays, whole.shape, rows, [mine]),
    gather=refused(multihost_utils.process_allgather, x),
    none=refused(multihost_utils.host_local_array_to_global_array, mine, mesh, None),
    sources=refused(multihost_utils.broadcast_one_to_all, own, is_source=False),
    equal=refused(multihost_utils.assert_equal, np.arange(ME, ME + 2), "the seeds differ"),
    shapes=refused(multihost_utils.process_allgather, np.zeros(ME + 1)),
    places=refused(multihost_utils.sync_global_devices, f"at {ME}"),
    slices=refused(px.pmap(lambda a: a), np.ones(L + 1)), traced=refused(px.jit(px.pmap(lambda a: a)), np.ones(L)),
    twice=refused(join), gone=[refused(px.distributed.shutdown), px.distributed.is_initialized()],
)
"""


def test_arrays_lie_in_two_processes(together):
    for me, said in enumerate(results(together(ARRAYS, 2, devices=2))):
        other = 1 - me
        assert "was asked for, and parts of it are on devices of other processes" in said["whole"]
        assert said["print"] == said["whole"] == said["to_one"]
        assert said["foreign"].endswith(f"which is of process {other}, and this is process {me}")
        assert said["foreign_sharding"].endswith(f"is on devices of other processes only, and this is process {me}")
        assert said["moved"].startswith("ProcessError: an array that lies in several processes as NamedSharding")
        assert said["moved"].endswith("which is over other devices")
        assert (
            "was given data of shape (7, 3) for an array of shape (16, 3), of which this process has (8, 3)"
            in said["data"]
        )
        assert "was given data of shape (8, 3) for an array of shape (8,)" in said["axes"]
        assert "was given arrays on [cpu:" in said["parts"]
        assert "was given an array that lies in several processes already" in said["gather"]
        assert said["none"] == "ArgumentError: pspecs of host_local_array_to_global_array has None in it"
        assert said["sources"] == "ArgumentError: broadcast_one_to_all was told of 0 sources: the processes []"
        assert said["equal"] == (
            f"DisagreementError: the seeds differ: process {me} has [{me} {me + 1}], and process {other} has "
            f"[{other} {other + 1}]"
        )
        assert said["shapes"] == (
            "DisagreementError: process_allgather was given arrays of other shapes or dtypes in other processes: "
            f"process {me} is not alike with [{other}]"
        )
        assert "was called as 'at " in said["places"]
        assert said["slices"].endswith("was given 3 slices in this process, and processes have [2, 2] devices")
        assert "over devices of several processes was called within a traced function" in said["traced"]
        assert said["twice"] == "ProcessError: portax.distributed.initialize was called a second time"
        assert said["gone"] == ["not refused", False]


TRAINING = """
join()
N = px.device_count()
random = np.random.default_rng(0)
images, labels = random.normal(size=(24, 16)).astype(np.float32), random.integers(0, 4, 24)
weights = {"a": random.normal(size=(16, 8)).astype(np.float32), "b": random.normal(size=(8, 4)).astype(np.float32)}

def loss(w, x, y):
    scores = pnp.tanh(x @ w["a"]) @ w["b"]
    return -pnp.mean(pnp.take_along_axis(px.nn.log_softmax(scores), y[:, None], 1))

def moved(w, g):
    return px.tree.map(lambda a, b: a - 0.1 * b, w, g)

def step(w, x, y):
    return moved(w, px.grad(loss)(w, x, y))

def many(w, x, y):
    return px.lax.scan(lambda w, _: (step(w, x, y), None), w, None, length=3)[0]

mesh = Mesh(np.array(px.devices()), ("data",))
everywhere, cut = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
share = lambda x: px.make_array_from_process_local_data(cut, np.split(x, COUNT)[ME])

def mapped(w, x, y):
    return moved(w, px.lax.pmean(px.grad(loss)(w, x, y), "data"))

ways = {
    "jit": (px.jit(step, out_shardings=everywhere), step),
    "donated": (px.jit(step, donate_argnums=0, out_shardings=everywhere), step),
    "scan": (px.jit(many, out_shardings=everywhere), many),
    "shard_map": (px.jit(px.shard_map(mapped, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P(),
                                      check_vma=False)), step),
}
found = {}
for name, (together, alone) in ways.items():
    w, one, alone = px.device_put(weights, everywhere), weights, px.jit(alone)
    for i in range(3):
        w, one = together(w, share(images), share(labels)), alone(one, images, labels)
    gaps = px.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), w, one)
    found[name] = max(px.tree.leaves(gaps))
    # All processes have the same bits.
    bits = px.tree.map(np.asarray, w)
    multihost_utils.assert_equal(bits)
tell(devices=N, moved=float(np.abs(np.asarray(one["a"]) - weights["a"]).max()), **found)
"""

#: The order in which 24 numbers are added. Parameters move by fifty thousand times as much.
BOUND = 1e-6


@pytest.mark.parametrize(("count", "devices"), [(2, 2), pytest.param(4, 1, marks=pytest.mark.slow)])
def test_processes_train_together_as_one_does(together, count, devices):
    for said in results(together(TRAINING, count, devices)):
        assert said.pop("devices") == count * devices
        assert said.pop("moved") > 0.05
        assert set(said) == {"jit", "donated", "scan", "shard_map"}
        assert max(said.values()) <= BOUND, said


STEPS = """
join(heartbeat_timeout_seconds=20)
mesh = Mesh(np.array(px.devices()), ("data",))
x = px.make_array_from_process_local_data(NamedSharding(mesh, P("data")), np.ones((4, 3), np.float32))
step = px.jit(lambda x: x + x.mean(0))
for number in range(10**6):
    x = step(x)
    if number % 50 == 0:
        x.block_until_ready()
        tell(step=number)
"""

WITHIN = 30.0
"""Seconds in which the others end when one does."""


@pytest.mark.parametrize("victim", [2, 0])
def test_the_end_of_one_is_reported_by_the_others(together, victim):
    running = together(STEPS, 3)
    running.until(lambda: all(len(running.told(i)) > 1 for i in range(3)), 150)
    running.running[victim].send_signal(signal.SIGKILL)
    others = [i for i in range(3) if i != victim]
    running.until(lambda: all(running.running[i].poll() is not None for i in others), WITHIN)
    for i in others:
        assert running.running[i].returncode in ((1, 75) if victim else (1, 75, -signal.SIGABRT)), running.report()
        assert f"process {victim} has ended: its connection is closed" in running.err(i), running.report()


def test_why_one_ends_is_reported_by_the_others(together):
    failing = STEPS.replace("x = step(x)", "x = step(x)\n    if ME == 1 and number == 60: raise ValueError('boom')")
    running = together(failing, 2)
    assert running.wait() == [1, 1], running.report()
    words = "ProcessError: process 1 has ended with ValueError: boom, and this is process 0 of 2 that work together."
    assert words in running.err(0)


def test_who_hears_of_it_may_save_what_it_has(together, tmp_path):
    saving = STEPS.replace("for number", "try:\n  for number").replace("    x = step(x)", "    kept, x = x, step(x)")
    saving = (
        saving.replace("\n    ", "\n      ")
        + f"""
except px.errors.ProcessError as error:
    np.save({str(tmp_path / "saved")!r} + str(ME), kept.addressable_data(0))
    tell(saved=error.wrong)
"""
    )
    running = together(saving, 2)
    running.until(lambda: all(len(running.told(i)) > 1 for i in range(2)), 150)
    running.running[1].send_signal(signal.SIGKILL)
    running.until(lambda: running.running[0].poll() is not None, WITHIN)
    assert running.running[0].returncode == 75, running.report()
    assert "process 1 has ended" in running.told(0)[-1]
    assert (tmp_path / "saved0.npy").exists()


@pytest.mark.slow
def test_who_does_not_hear_of_it_is_ended(together):
    running = together("join()\npx.devices()\ntell(here=ME)\ntime.sleep(100)", 3)
    running.until(lambda: all(running.told(i) for i in range(3)), 150)
    running.running[2].send_signal(signal.SIGKILL)
    assert running.until(lambda: all(p.poll() is not None for p in running.running), WITHIN) < WITHIN
    for i in range(2):
        assert running.running[i].returncode == 75, running.report()
        assert f"portax: process 2 has ended: its connection is closed. Process {i} of 3 ends too" in running.err(i)
        assert "program.py:" in running.err(i)


@pytest.mark.slow
def test_a_process_that_is_frozen_is_noticed(together):
    # Its connections stay open: the service counts its heartbeats.
    running = together(STEPS.replace("heartbeat_timeout_seconds=20", "heartbeat_timeout_seconds=5"), 2)
    running.until(lambda: all(len(running.told(i)) > 1 for i in range(2)), 150)
    running.running[1].send_signal(signal.SIGSTOP)
    running.until(lambda: running.running[0].poll() is not None, WITHIN)
    assert running.running[0].returncode not in (0, None)
    assert "stopped sending heartbeats" in running.err(0)


STOPPED = """
join()
px.devices()
for step in range(100_000):
    if multihost_utils.reached_preemption_sync_point(step):
        break
    if ME == 1 and step == 20:
        os.kill(os.getpid(), signal.SIGTERM)  # what a scheduler does
    time.sleep(0.01 * (1 + ME))
tell(stopped=step)
"""


@pytest.mark.slow
def test_when_one_is_going_to_be_stopped_all_save_before_the_same_step(together):
    first, second = results(together(STOPPED, 2))
    assert first == second and 20 < first["stopped"] < 99_999


COMING = """
host, port = ADDRESS.split(":")
said = {}
said["mismatch"] = refused(join, count=2 + ME)
# Each attempt has a port of its own, so that the first process's next one is not taken for its last.
said["missing"] = refused(join, f"{host}:{SECOND}", count=3, initialization_timeout=1.5 if ME == 0 else 100)
join(f"{host}:{THIRD}")
said["processes"] = px.process_count()
tell(**said)
"""


def test_processes_that_do_not_agree_or_do_not_come_are_told_so(together):
    second, third = free_port(), free_port()
    running = together(f"SECOND, THIRD = {second}, {third}\n{COMING}", 2)
    for said in results(running):
        assert said["mismatch"] == (
            "ProcessError: process 1 was started as one of 3 processes, and process 0 as one of 2"
        )
        assert said["missing"] == (
            f"ProcessError: process 2 has not come to 127.0.0.1:{second} within 1.5 seconds; 2 of 3 are there"
        )
        assert said["processes"] == 2


ALONE = """
said = {"used": None}
with socket.create_server(("127.0.0.1", 0)) as taken:
    said["port"] = refused(join, f"127.0.0.1:{taken.getsockname()[1]}")
said["nobody"] = refused(join, me=1, count=2, initialization_timeout=0.3)
join()
said["processes"] = [px.process_count(), px.device_count(), float(px.jit(pnp.sum)(np.arange(4.0)))]
px.distributed.shutdown()
said["used"] = refused(join)
tell(**said)
"""


def test_a_process_alone_is_told_what_is_wrong(together):
    [said] = results(together("import socket\n" + ALONE, 1, devices=2))
    assert "process 0 cannot listen at [::]:" in said["port"] and "Address already in use" in said["port"]
    assert "ProcessError: process 1 of 2 looked for process 0 at 127.0.0.1:" in said["nobody"]
    assert "nobody answers there" in said["nobody"]
    assert said["processes"] == [1, 2, 6.0]
    assert said["used"] == (
        "ProcessError: portax.distributed.initialize was called after the backend 'cpu' had been used, which knows its "
        "devices by now"
    )


# What jaxlib raises.


class Failing:
    """A service, or a tie to it, that fails."""

    def shutdown(self):
        raise XLAError("INTERNAL: Barrier failed")

    connect = shutdown


def test_what_xla_says_is_passed_on(monkeypatch):
    place = Place("127.0.0.1:1", "127.0.0.1:1", 0, 2)
    words = "Look into the output of the other processes for the reason"
    with pytest.raises(ProcessError, match=r"the processes did not part: INTERNAL: Barrier failed") as caught:
        jobs.end(Failing())
    assert caught.value.fix == words
    monkeypatch.setattr(jobs.bindings, "get_distributed_runtime_client", lambda *_, **__: Failing())
    with pytest.raises(ProcessError, match=r"process 0 found no coordination service at 127\.0\.0\.1:1: INTERNAL"):
        jobs.connect(place)

    def fails(*_, **__):
        raise XLAError("UNKNOWN: no")

    with pytest.raises(ProcessError, match=r"cannot tell each other that one is going to be stopped: UNKNOWN: no"):
        monkeypatch.setattr(Failing, "initialize", fails, raising=False)
        monkeypatch.setattr(jobs.bindings, "create_preemption_sync_manager", Failing)
        jobs.notices(None)
    monkeypatch.setattr(jobs.bindings, "get_distributed_runtime_service", fails)
    with pytest.raises(ProcessError, match=r"XLA's coordination service did not start at 127\.0\.0\.1:1: UNKNOWN: no"):
        jobs.serve(place)
