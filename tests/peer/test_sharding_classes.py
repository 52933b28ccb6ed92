"""Meshes, specs and shardings beside JAX's: what expressions about them give, how they print, what is refused.

JAX needs eight devices, so it evaluates all expressions in one process of its own; portax does so here, on eight
reference devices. Values are compared as text in which devices are numbers, sets are sorted, and errors are one word.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import portax
from portax import sharding
from portax.runtime.reference_backend import ReferenceBackend

pytestmark = pytest.mark.peer

EXPRESSIONS = """
P()
P(None)
P('x')
P('x', None)
P(('x',))
P(('x', 'y'), None)
P(())
P((), 'x')
P(['x', 'y'])
P(None, ('x', 'y'))
P('x', P.UNCONSTRAINED)
P('x', unreduced={'y'})
P('x', reduced={'y'})
P('x', unreduced={'y'}, reduced={'z'})
P(('x',)) == P('x')
P('x', None) == P('x')
P('x') == ('x',)
P('x', unreduced={'y'}) == P('x')
P('x') == P('x', unreduced=frozenset())
hash(P(('x',))) == hash(P('x'))
isinstance(P('x'), tuple)
tuple(P(('x',), ()))
P('x')[0]
P('x', 'y')[:1]
len(P('x', 'y'))
'x' in P('x')
P('x') + P('y')
P('x') + ('y',)
('y',) + P('x')
(P('x', unreduced={'y'}) + P('z', unreduced={'w'})).partitions
(P('x', unreduced={'y'}) + P('z', unreduced={'w'})).unreduced
P('x').update(unreduced={'y'})
P('x').update(partitions=('y',))
P('x').update('y')
P('x', unreduced={'y'}).update(partitions=('z',))
P('x').update(partitions=None)
P('x').update(foo=1)
P('x', 'y').count('x')
P('x', 'y').index('y')
P('x', 'y').index('z')
P('x', None).index(None)
P('x').partitions
P('x').unreduced
P('x').to_lo()
P('x', unreduced={'y'}).to_ct_spec()
P('x', unreduced={'y'}).to_tangent_spec()
P('x', unreduced={'x'})
P('x', unreduced='y')
P('x', unreduced=['y'])
P(unreduced={None})
P('x', unreduced={'y'}, reduced={'y'})
P(('x', ('y',)))
P({'x'})
pickle.loads(pickle.dumps(P('x', unreduced={'y'}))) == P('x', unreduced={'y'})
pickle.loads(pickle.dumps(P('x', P.UNCONSTRAINED))) == P('x', P.UNCONSTRAINED)
AxisType.Auto
str(AxisType.Auto)
list(AxisType)
AbstractDevice('cpu', None, 'cpu')
AbstractDevice('cpu', None, 'cpu') == AbstractDevice('cpu', None, 'cpu')
am
am.shape
am.shape_tuple
am.axis_sizes
am.axis_names
am.axis_types
am.size
am.empty
am.abstract_mesh is am
AbstractMesh((4, 2), ('x', 'y')) == am
hash(AbstractMesh((4, 2), ('x', 'y'))) == hash(am)
AbstractMesh((4, 2), ('x', 'y'), (AxisType.Explicit, AxisType.Auto)) == am
pickle.loads(pickle.dumps(am)) == am
AbstractMesh((), ())
AbstractMesh((), ()).empty
AbstractMesh((), ()).size
AbstractMesh((), ()).are_all_axes_auto
AbstractMesh((), ()).are_all_axes_manual
am.are_all_axes_auto
am.are_all_axes_explicit
am.auto_axes
am.explicit_axes
am.manual_axes
am.update(axis_sizes=(2, 4))
am.update(foo=2)
am.update_axis_types({'x': AxisType.Manual})
am.update_axis_types({'x': AxisType.Manual}).manual_axes
am.update_axis_types({'x': 3})
am.devices
am.device_ids
am.local_devices
am.local_mesh
am.is_multi_process
AbstractMesh((4, 2), ('x',))
AbstractMesh((4,), 'x')
AbstractMesh((4,), ('x',), AxisType.Explicit)
AbstractMesh((4, 2), ('x', 'y'), AxisType.Auto)
AbstractMesh((4, 2), ('x', 'y'), (3, 4))
AbstractMesh((2,), ('x',), abstract_device=AbstractDevice('cpu', None, 'cpu'))
m
str(m)
m.shape
m.shape_tuple
m.axis_sizes
m.axis_names
m.axis_types
m.size
m.empty
m.is_scalar
m.is_multi_process
m.local_mesh is m
m.local_devices
m.device_ids.tolist()
m.devices.flags.writeable
m.auto_axes
m.are_all_axes_auto
m.abstract_mesh.shape_tuple
m.abstract_mesh.abstract_device.num_cores
m.abstract_mesh is m.abstract_mesh
m.abstract_mesh == am
m == am
am == m
Mesh(d, ('x', 'y')) is m
Mesh(d, ('x', 'y')) == m
hash(Mesh(d, ('x', 'y'))) == hash(m)
Mesh(d, ('x', 'z')) == m
Mesh(d, ('x', 'y'), axis_types=(AxisType.Explicit,) * 2) == m
Mesh(d.reshape(8), 'x')
Mesh(d.reshape(8), ['x'])
Mesh(d.tolist(), ('x', 'y')) == m
Mesh(d[0, 0], ())
Mesh(d[0, 0], ()).size
Mesh(d[0, 0], ()).is_scalar
Mesh(d[0, 0], ()).empty
Mesh(np.array([]), ('x',)).empty
Mesh(d, 'x')
Mesh(d, ('x',))
Mesh(d, ('x', None))
Mesh(d, ('x', 'y'), (AxisType.Auto,))
Mesh(d, ('x', 'y'), ('auto', 'auto'))
Mesh(d, ('x', 'y'), AxisType.Auto)
m.update() is m
m.update(axis_names=('a', 'b'))
m.update(devices=d.reshape(8), axis_names=('a',))
m.update(foo=1)
make_mesh((4, 2), ('x', 'y'), (AxisType.Auto,) * 2, devices=d.ravel()) == m
make_mesh((2, 2), ('x', 'y'), devices=list(d.flat)[4:]).device_ids.tolist()
make_mesh((3,), ('x',), devices=list(d.flat)).device_ids.tolist()
make_mesh((16,), ('x',), devices=list(d.flat))
make_mesh((4, 2), ('x',), devices=list(d.flat))
make_mesh((-1, 2), ('x', 'y'), devices=list(d.flat))
ns
NamedSharding(am, P('x'))
ns.mesh is m
ns.spec
ns.memory_kind
NamedSharding(am, P('x')).memory_kind
NamedSharding(m, P('x'), 'device') == ns
NamedSharding(m, P('x'), memory_kind='nowhere')
ns.with_memory_kind('device') == ns
ns.with_memory_kind('pinned_host').memory_kind
ns.with_memory_kind('pinned_host') == ns
ns.update(spec=P('y'))
ns.update(memory_kind='pinned_host').memory_kind
ns.num_devices
ns.device_set
ns.addressable_devices
ns.has_addressable_devices
ns.is_fully_addressable
ns.is_fully_replicated
NamedSharding(m, P()).is_fully_replicated
NamedSharding(m, P(None, None)).is_fully_replicated
ns.replicated_axes
NamedSharding(m, P(('x', 'y'))).replicated_axes
ns.shard_shape((8, 3))
ns.shard_shape((7, 3))
ns.shard_shape(())
NamedSharding(m, P(None, 'x')).shard_shape((8,))
NamedSharding(m, P('x', P.UNCONSTRAINED)).shard_shape((8, 2))
ns.check_compatible_aval((7,))
ns.check_compatible_aval(())
NamedSharding(m, P(None, 'x')).check_compatible_aval((8,))
ns.devices_indices_map((8, 3))
ns.devices_indices_map((7, 3))
ns.addressable_devices_indices_map((8, 3))
NamedSharding(m, P(('y', 'x'))).devices_indices_map((8,))
NamedSharding(m, P('y', 'x')).devices_indices_map((2, 4))
NamedSharding(m, P()).devices_indices_map((2, 4))
ns == NamedSharding(m, P('x'))
hash(ns) == hash(NamedSharding(m, P('x')))
ns == NamedSharding(m, P('x', None))
ns.is_equivalent_to(NamedSharding(m, P('x', None)), 2)
ns.is_equivalent_to(NamedSharding(m, P('x', None)), 1)
ns.is_equivalent_to(NamedSharding(m, P('y')), 1)
ns.is_equivalent_to(sd, 1)
sd.is_equivalent_to(ns, 1)
NamedSharding(m, P()).is_equivalent_to(NamedSharding(Mesh(d.ravel(), 'z'), P()), 1)
NamedSharding(Mesh(d.ravel()[::-1], 'z'), P()).is_equivalent_to(NamedSharding(Mesh(d.ravel(), 'z'), P()), 1)
NamedSharding(Mesh(d[:1, :1], ('x', 'y')), P()).is_equivalent_to(SingleDeviceSharding(d[0, 0]), 1)
NamedSharding(m, P(('x', 'y'))).is_equivalent_to(NamedSharding(Mesh(d.ravel(), 'z'), P('z')), 1)
ns.is_equivalent_to(ns.with_memory_kind('pinned_host'), 1)
NamedSharding(am, P('x')).is_equivalent_to(NamedSharding(am, P('x', None)), 2)
NamedSharding(am, P('x')).is_equivalent_to(ns, 2)
NamedSharding(am, P('x')).num_devices
NamedSharding(am, P('x')).shard_shape((8,))
NamedSharding(am, P('x')).is_fully_replicated
NamedSharding(am, P('x')).device_set
NamedSharding(am, P('x')).is_fully_addressable
NamedSharding(am, P('x')).addressable_devices
NamedSharding(am, P('x')).has_addressable_devices
NamedSharding(am, P('x')).devices_indices_map((8,))
NamedSharding(m, P('z'))
NamedSharding(m, P('x', 'x'))
NamedSharding(m, P(('x', 'x')))
NamedSharding(m, P(3))
NamedSharding(m, ('x',))
NamedSharding(m, None)
NamedSharding(None, P('x'))
NamedSharding(m, P('x', unreduced={'y'}))
NamedSharding(m, P('x', unreduced={'z'}))
sd
sd.memory_kind
sd.device_set
sd.num_devices
sd.shard_shape((3,))
sd.devices_indices_map((3,))
sd.addressable_devices_indices_map((3,))
sd.is_fully_replicated
sd.is_fully_addressable
sd.has_addressable_devices
sd.check_compatible_aval((2,))
sd == SingleDeviceSharding(d.flat[1])
sd == SingleDeviceSharding(d.flat[2])
hash(sd) == hash(SingleDeviceSharding(d.flat[1]))
sd.with_memory_kind('pinned_host').memory_kind
sd.with_memory_kind('pinned_host') == sd
SingleDeviceSharding(d.flat[1], memory_kind='nowhere')
make_single_device_sharding(d.flat[1]) == sd
isinstance(ns, Sharding), isinstance(sd, Sharding)
Shard(d.flat[2], ns, (8, 3))
Shard(d.flat[2], ns, (8, 3)).replica_id
Shard(d.flat[3], ns, (8, 3)).replica_id
Shard(d.flat[3], ns, (8, 3)).index
get_mesh()
get_mesh().empty
get_mesh().size
get_abstract_mesh()
within(set_mesh(m), lambda: get_mesh() is m)
within(set_mesh(m), lambda: get_abstract_mesh() is m.abstract_mesh)
within(set_mesh(m), lambda: within(use_abstract_mesh(am), lambda: (get_mesh() is m, get_abstract_mesh() == am)))
within(set_mesh(m), lambda: within(set_mesh(m.update(axis_names=('a', 'b'))), lambda: get_mesh().axis_names))
within(set_mesh(m), lambda: within(set_mesh(None), lambda: get_mesh().empty))
within(set_mesh(m), lambda: elsewhere(lambda: get_mesh().empty))
within(set_mesh(m), lambda: set_mesh(None)) and get_mesh().empty
within(use_abstract_mesh(am), lambda: get_abstract_mesh() == am)
within(m, lambda: get_mesh().empty)
set_mesh(am)
set_mesh(3)
use_abstract_mesh(m)
ManualAxisType()
ManualAxisType(varying={'x'}).varying
ManualAxisType(varying={'x'}, unreduced=frozenset({'y'}), reduced=frozenset({'z'})).to_ct_mat()
ManualAxisType(varying={'x'}, reduced=frozenset({'y'})).vur
ManualAxisType().empty, ManualAxisType(varying={'x'}).empty, ManualAxisType(unreduced={'x'}).empty
ManualAxisType(varying={'x'}).invarying(am)
ManualAxisType(varying={'x'}).invarying(manual)
ManualAxisType(unreduced=frozenset({'x'})).invarying(manual)
ManualAxisType(varying={'x'}).update(varying=frozenset())
ManualAxisType().update(foo=1)
ManualAxisType(varying={'x'}, unreduced=frozenset({'x'}))
ManualAxisType(varying={'x'}, reduced=frozenset({'x'}))
ManualAxisType(varying='x')
ManualAxisType(varying=frozenset({'x'})) == ManualAxisType(varying=frozenset({'x'}))
""".strip().splitlines()

#: What each side evaluates with, given ``lib``, ``sharding`` and eight ``devices``.
NAMES = """
import pickle, threading
import numpy as np
P = sharding.PartitionSpec
AxisType, AbstractMesh, AbstractDevice = sharding.AxisType, sharding.AbstractMesh, sharding.AbstractDevice
ManualAxisType = getattr(sharding, 'ManualAxisType', None)
Mesh, NamedSharding, Sharding = sharding.Mesh, sharding.NamedSharding, sharding.Sharding
SingleDeviceSharding, Shard = sharding.SingleDeviceSharding, lib.Shard
make_single_device_sharding = sharding.make_single_device_sharding
get_mesh, get_abstract_mesh = sharding.get_mesh, sharding.get_abstract_mesh
make_mesh, set_mesh, use_abstract_mesh = lib.make_mesh, lib.set_mesh, sharding.use_abstract_mesh
d = np.empty(8, object)
d[:] = devices
d = d.reshape(4, 2)
m, am = Mesh(d, ('x', 'y')), AbstractMesh((4, 2), ('x', 'y'))
manual = am.update_axis_types({'x': AxisType.Manual, 'y': AxisType.Manual})
ns, sd = NamedSharding(m, P('x')), SingleDeviceSharding(d.flat[1])


def within(context, f):
    with context:
        return f()


def elsewhere(f):
    found = []
    thread = threading.Thread(target=lambda: found.append(f()))
    thread.start()
    thread.join()
    return found[0]


def text(value):
    if isinstance(value, (set, frozenset)):
        return '{' + ', '.join(sorted(map(text, value))) + '}'
    if isinstance(value, dict):
        return '{' + ', '.join(text(k) + ': ' + text(v) for k, v in value.items()) + '}'
    return repr(value)


def answer(expression):
    try:
        return text(eval(expression, globals_of))
    except Exception:
        return 'error'


def answers(expressions):
    # A thread for each: which mesh is set is a thread's own affair, so none sees what another left.
    found = []
    for expression in expressions:
        found.append(elsewhere(lambda: answer(expression)))
    return found
"""

PEER = (
    """
import json, sys, warnings
import jax as lib
from jax import sharding
warnings.simplefilter('ignore')
devices = lib.devices()
"""
    + NAMES
    + """
globals_of = globals()
print(json.dumps(answers(json.loads(sys.stdin.read()))))
"""
)


def normal(text: str) -> str:
    """Text in which devices are numbers, however a library shows them."""
    return re.sub(r"CpuDevice\(id=(\d+)\)|reference:(\d+)", lambda found: f"device {found[1] or found[2]}", text)


@pytest.fixture(scope="module")
def theirs() -> dict[str, str]:
    """What JAX answers, with eight devices, in a process of its own."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    ran = subprocess.run(
        [sys.executable, "-c", PEER], input=json.dumps(EXPRESSIONS), capture_output=True, text=True, env=environment,
        timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return dict(zip(EXPRESSIONS, map(normal, json.loads(ran.stdout)), strict=True))


@pytest.fixture(scope="module")
def ours() -> dict[str, str]:
    """What portax answers, with eight reference devices."""
    names: dict[str, Any] = {
        "lib": portax, "sharding": sharding, "devices": ReferenceBackend({"devices": "8"}).devices(), "np": np,
    }  # fmt: skip
    exec(NAMES, names)
    names["globals_of"] = names
    return dict(zip(EXPRESSIONS, map(normal, names["answers"](EXPRESSIONS)), strict=True))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_what_it_gives_in_jax(expression, ours, theirs):
    assert ours[expression] == theirs[expression]
