"""Exported functions: what is written comes back and computes the same, and a bad file is refused."""

from __future__ import annotations

import collections
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.core.jaxpr import Literal
from portax.core.primitive import Primitive, registry
from portax.errors import (
    ArgumentError,
    DtypeError,
    NotDifferentiableError,
    SerializationError,
    ShapeError,
    TreeError,
)
from portax.export import deserialize, export
from portax.export import trees as tree_files
from portax.export.container import Store, pack, unpack
from portax.export.programs import Reader, Writer
from portax.sharding import AbstractMesh, NamedSharding, PartitionSpec

X = np.linspace(0.1, 1.0, 6, dtype=np.float32).reshape(2, 3)


def there_and_back(f, *args, order=0, **kwargs):
    return deserialize(export(px.jit(f))(*args, **kwargs).serialize(vjp_order=order))


@px.custom_jvp
def clipped(x):
    return pnp.minimum(x, 0.5)


clipped.defjvp(lambda primals, tangents: (clipped(*primals), 3 * tangents[0]))

TABLE = pnp.arange(2000.0)

PROGRAMS = {
    "elementwise": lambda x: pnp.sin(x) * 2 + x.astype("bfloat16").astype("float32"),
    "indexing": lambda x: x.at[0, ::2].add(1.0)[:, ::-1],
    "contraction": lambda x: pnp.matmul(x, x.T, precision="highest"),
    "loop": lambda x: lax.fori_loop(0, 3, lambda i, c: c + x * i, x),
    "scan": lambda x: lax.scan(lambda c, row: (c + row, c * 2), x[0], x),
    "while": lambda x: lax.while_loop(lambda c: pnp.sum(c) < 100, lambda c: c * 2, x),
    "cond": lambda x: lax.cond(x[0, 0] > 0, pnp.cos, lambda x: x + 1, x),
    "random": lambda x: px.random.normal(px.random.key(0), x.shape) + x,
    "keys": lambda x: px.random.split(px.random.key(3), 2),
    "nested jit": lambda x: px.jit(lambda y: y * 3)(x) + 1,
    "custom rule in a loop": lambda x: lax.scan(lambda c, row: (clipped(row), c), x[0], x),
    "checkpoint": px.checkpoint(lambda x: pnp.sin(pnp.cos(x)), policy=px.checkpoint_policies.dots_saveable),
    "large constant": lambda x: TABLE[:3] + x + TABLE.sum(),
    "complex": lambda x: (x + 1j) * np.complex64(2 - 1j),
    "booleans": lambda x: pnp.where(x > 0.5, x, -x).any(axis=0),
    "sort": lambda x: pnp.sort(x, axis=0)[::-1],
    "nothing": lambda x: (),
    "constant result": lambda x: 3.0,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_function_comes_back_and_computes_the_same(name):
    f = PROGRAMS[name]
    back = there_and_back(f, X)
    ours, theirs = px.tree.flatten(f(pnp.asarray(X))), px.tree.flatten(back.call(X))
    assert ours[1] == theirs[1]
    for a, b in zip(ours[0], theirs[0], strict=True):
        a, b = pnp.asarray(a), pnp.asarray(b)
        assert a.aval.strip_weak_type() == b.aval.strip_weak_type()
        if px.dtypes.issubdtype(a.dtype, px.dtypes.prng_key):
            a, b = px.random.key_data(a), px.random.key_data(b)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-6)


#: They name the devices at hand, or a grid of them, which a file cannot know: refused in words, see below.
ON_DEVICES = ("shard_map", "sharding_constraint")


def test_a_program_that_names_devices_is_not_written():
    rows = NamedSharding(AbstractMesh((1,), ("i",)), PartitionSpec("i"))
    with pytest.raises(SerializationError, match="sharding"):
        export(px.jit(lambda x: px.lax.with_sharding_constraint(x, rows)))(X).serialize()


def test_every_primitive_can_be_written():
    """Each sample of each primitive, as a program of one equation."""

    def operand(shape=(), *_, dtype=np.float32, **__):
        return np.full(shape, 1, dtype)

    written = 0
    for primitive in registry:
        if primitive.name in ON_DEVICES:
            continue
        for kind in (np.float32, np.int32, np.bool_, np.complex64):
            try:
                samples = list(primitive.samples(lambda shape=(), *a, k=kind, **o: operand(shape, dtype=k)))
            except Exception:
                continue  # it takes other operands
            for sample in samples:
                if any(callable(v) and not isinstance(v, Primitive | type | np.dtype) for v in _flat(sample.params)):
                    continue
                written += _round_trip(primitive, sample)
    assert written > 300


def _flat(params):
    return [x for v in params.values() for x in (v if isinstance(v, tuple | list) else (v,))]


def _round_trip(primitive, sample):
    try:
        closed = px.make_jaxpr(lambda *xs: primitive.bind(*xs, **sample.params))(*sample.operands)
    except Exception:
        return 0
    if closed.effects:
        return 0
    store = Store()
    writer = Writer(store)
    header = {"main": writer.program(closed), "programs": writer.programs}
    header, data = unpack(pack(header, store))
    back = Reader(header["programs"], data).program(header["main"])
    assert str(back) == str(closed), primitive.name
    for a, b in zip(closed.eqns, back.eqns, strict=True):
        assert a.primitive is b.primitive
        assert [v.aval for v in a.outvars] == [v.aval for v in b.outvars]
        assert [isinstance(x, Literal) for x in a.invars] == [isinstance(x, Literal) for x in b.invars]
    return 1


class Point(NamedTuple):
    x: object
    y: object


def test_trees_come_back():
    f = lambda a, *, scale: {"b": [a["p"] * scale, None], "c": collections.OrderedDict(z=a["q"][0], a=a["q"][1])}
    args = {"p": X, "q": (X + 1, X[0])}
    exported = export(px.jit(f))(args, scale=2.0)
    back = deserialize(exported.serialize())
    out = back.call(args, scale=2.0)
    assert px.tree.structure(out) == px.tree.structure(f(args, scale=2.0))
    assert list(out["c"]) == ["z", "a"]
    assert back.in_tree == exported.in_tree and back.out_tree == exported.out_tree
    assert back.in_avals == exported.in_avals and back.fun_name == "<lambda>"


def test_types_of_the_program_need_a_name(monkeypatch):
    f = px.jit(lambda p: Point(p.y, p.x))
    with pytest.raises(SerializationError, match="a Point is among the arguments or results"):
        export(f)(Point(X, X[0])).serialize()
    monkeypatch.setattr(tree_files, "_by_name", {})
    monkeypatch.setattr(tree_files, "_names", {})
    px.export.register_namedtuple_serialization(Point, serialized_name="test.Point")
    blob = export(f)(Point(X, X[0])).serialize()
    out = deserialize(blob).call(Point(X, X[0]))
    assert type(out) is Point and out.y.shape == (2, 3)
    with pytest.raises(ArgumentError, match="was registered for serialization before"):
        px.export.register_namedtuple_serialization(Point, serialized_name="test.Other")
    monkeypatch.setattr(tree_files, "_by_name", {})
    with pytest.raises(SerializationError, match=r"a node called 'test\.Point', which is not registered here"):
        deserialize(blob)
    with pytest.raises(SerializationError, match=r"has the key \(1, 2\)"):
        export(px.jit(lambda d: d))({(1, 2): X}).serialize()


def test_the_derivative_travels_as_deep_as_asked():
    f = lambda x: pnp.sum(clipped(x) ** 2)
    for back in (export(px.jit(f))(X), there_and_back(f, X, order=2)):
        np.testing.assert_allclose(px.grad(back.call)(X), px.grad(f)(pnp.asarray(X)), rtol=1e-6)
        curve = lambda g: px.grad(lambda x: pnp.sum(px.grad(g)(x)))(X)
        np.testing.assert_allclose(curve(back.call), curve(f), rtol=1e-6)
        assert back.has_vjp()
    once = there_and_back(f, X, order=1)
    px.grad(once.call)(X)
    with pytest.raises(NotDifferentiableError, match="was exported without its derivative"):
        px.grad(lambda x: pnp.sum(px.grad(once.call)(x)))(X)
    never = there_and_back(f, X)
    assert not never.has_vjp() and float(never.call(X)) > 0
    with pytest.raises(NotDifferentiableError, match=r"serialize\(vjp_order=1\)"):
        px.grad(never.call)(X)


def test_whole_numbers_have_no_derivative_and_do_not_hinder_one():
    f = lambda n, x: (n + 1, x * n)
    back = there_and_back(f, np.int32(3), X, order=1)
    g = px.grad(lambda x: pnp.sum(back.call(np.int32(3), x)[1]))(X)
    np.testing.assert_allclose(g, np.full_like(X, 3))


def test_it_composes_with_every_transformation():
    back = there_and_back(lambda x: pnp.sin(x), np.float32(1), order=1)
    many = px.jit(px.vmap(px.grad(back.call)))(X[0])
    np.testing.assert_allclose(many, np.cos(X[0]), rtol=1e-6)
    assert "sine" in back.mlir_module() and back.mlir_module_serialized == back.mlir_module().encode()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f: f.call(X, X), TreeError, "was exported for arguments built as"),
        (lambda f: f.call(X[0]), ShapeError, r"is float32\[3\], and it was exported for float32\[2,3\]"),
        (lambda f: f.call(X.astype("int32")), DtypeError, r"is int32\[2,3\], and it was exported for float32\[2,3\]"),
        (lambda f: export(lambda x: x), ArgumentError, "export needs a jitted function"),
    ],
)
def test_a_wrong_call_says_so(call, error, words):
    with pytest.raises(error, match=words):
        call(there_and_back(pnp.sin, X))


def test_what_closes_over_a_tracer_cannot_be_exported():
    with pytest.raises(ArgumentError, match="closes over a value that is being traced"):
        px.jit(lambda y: export(px.jit(lambda x: x + y))(X).call(X))(1.0)


def test_a_damaged_file_is_refused():
    blob = bytes(export(px.jit(pnp.sin))(X).serialize())
    with pytest.raises(SerializationError, match="bytes that are no exported function"):
        deserialize(b"something else entirely, and long enough to hold an envelope of the format")
    with pytest.raises(SerializationError, match="no exported function"):
        deserialize(b"")
    rng = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(blob)
        broken[rng.integers(12, len(blob))] ^= 1 << rng.integers(8)
        with pytest.raises(SerializationError, match="damaged"):
            deserialize(broken)
    for cut in (60, len(blob) // 2, len(blob) - 1):
        with pytest.raises(SerializationError):
            deserialize(blob[:cut])
    later = bytearray(blob)
    later[8] = 9
    with pytest.raises(SerializationError, match="file format 9, and this portax reads up to 1"):
        deserialize(later)


def test_another_opset_is_refused(monkeypatch):
    blob = export(px.jit(pnp.sin))(X).serialize()
    monkeypatch.setattr(registry["sin"], "version", 2)
    with pytest.raises(SerializationError, match="needs sin, version 1, and this portax has version 2 of it"):
        deserialize(blob)
    monkeypatch.setattr(registry["sin"], "name", "gone")
    monkeypatch.delitem(registry._by_name, "sin")
    with pytest.raises(SerializationError, match="this portax has no such primitive"):
        deserialize(blob)


def test_it_runs_in_another_process_without_the_function(tmp_path):
    (tmp_path / "f.bin").write_bytes(export(px.jit(PROGRAMS["scan"]))(X).serialize())
    program = (
        "import numpy as np, portax\n"
        f"f = portax.export.deserialize(open({str(tmp_path / 'f.bin')!r}, 'rb').read())\n"
        "print(f.call(np.ones((2, 3), np.float32))[0].tolist())\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[3.0, 3.0, 3.0]"


def test_checks_are_noted():
    check = px.export.DisabledSafetyCheck.custom_call("mine")
    exported = export(px.jit(pnp.sin), platforms=["tpu"], disabled_checks=[check])(X)
    back = deserialize(exported.serialize())
    assert back.platforms == ("tpu",) and back.disabled_safety_checks == (check,)
    assert px.export.DisabledSafetyCheck.platform().is_custom_call() is None
