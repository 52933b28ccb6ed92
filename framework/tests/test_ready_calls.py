"""The short way of a call, in C and in Python: what takes it, what does not, and what comes of it."""

from __future__ import annotations

import collections
import functools
import gc
import os
import shutil
import subprocess
import sys
import sysconfig
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import portax
import portax.numpy as pnp
from portax.core import tree
from portax.core.config import config
from portax.runtime import ready
from portax.runtime.array import ConcreteArray

VERSIONS = [ready.PlainReadyCall] + ([] if ready.compiled is None else [ready.compiled.ReadyCall])


def compiler() -> str:
    """The C compiler Python was made with, where it and Python's headers are here; else an empty string."""
    words = (sysconfig.get_config_var("CC") or "").split()
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return words[0] if words and shutil.which(words[0]) and headers.is_file() else ""


@pytest.mark.skipif(not compiler(), reason="no C compiler, or no headers of Python")
def test_where_there_is_a_compiler_the_short_way_is_in_c() -> None:
    assert ready.compiled is not None, f"install portax again: {ready.why_not}"
    assert issubclass(portax.higher_order.JitFunction, ready.compiled.ReadyCall)


@pytest.fixture(params=VERSIONS, ids=lambda v: v.__module__.rpartition(".")[2])
def short(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A callable that adds lists of one buffer, and notes who went the long way."""

    class Call(request.param):  # pyright: ignore
        def __init__(self) -> None:
            super().__init__()
            self.long: list[Any] = []

        def _long(self, *args: Any, **kwargs: Any) -> Any:
            self.long.append((args, kwargs))
            return "the long way"

    yield Call()


class Place:
    """Stands for a device: the short way asks nothing of it."""


HERE, THERE = Place(), Place()
AVAL = pnp.ones(3).aval


def array(value: Any = 1, device: Any = HERE, committed: bool = False) -> ConcreteArray:
    return ConcreteArray(AVAL, None, value, device, committed)  # pyright: ignore


def put(call: Any, run: Any, count: int, outs: int = 1, out_tree: Any = None) -> None:
    call._ready[(config.epoch, *[AVAL] * count)] = (run, HERE, (AVAL,) * outs, out_tree, ())


def test_a_known_call_gives_its_buffers_to_the_program(short: Any) -> None:
    put(short, lambda buffers: [buffers[0] - buffers[1]], 2)
    out = short(array(7), array(5))
    assert type(out) is ConcreteArray and out.aval is AVAL
    assert (out._host, out._buffer, out._device, out.committed) == (None, 2, HERE, False)
    assert not short.long


def test_a_result_is_committed_where_an_argument_is(short: Any) -> None:
    put(short, lambda buffers: [0], 2)
    assert short(array(), array(committed=True)).committed is True
    assert short(array(), array()).committed is False


def test_results_make_their_tree(short: Any) -> None:
    put(short, lambda buffers: [buffers[0], -buffers[0]], 1, 2, tree.structure({"a": 0, "b": (0,)}))
    out = short(array(4))
    assert out["a"]._buffer == 4 and out["b"][0]._buffer == -4


def test_a_call_without_arguments_is_known_by_the_epoch(short: Any) -> None:
    put(short, lambda buffers: [len(buffers)], 0)
    assert short()._buffer == 0


@pytest.mark.parametrize(
    "given",
    [
        lambda: (array(), array(2)),
        lambda: (array(device=THERE),),
        lambda: (array(device=None),),
        lambda: (array(None),),
        lambda: (1.0,),
        lambda: (None,),
        lambda: ([array()],),
    ],
    ids=["other avals", "elsewhere", "nowhere", "deleted", "number", "None", "tree"],
)
def test_any_other_argument_goes_the_long_way(short: Any, given: Any) -> None:
    args = given()
    put(short, lambda buffers: [0], 1)
    assert short(*args) == "the long way"
    assert short.long == [(args, {})]


class Pair(NamedTuple):
    left: Any
    right: Any


TREES = {
    "dictionary": lambda a, b: ({"y": b, "x": a},),
    "other order": lambda a, b: ({"x": a, "y": b},),
    "list": lambda a, b: ([a, b],),
    "nested": lambda a, b: ({"x": (a, [None, ()])}, b),
    "named tuple": lambda a, b: (Pair(a, {"z": b}),),
    "none": lambda a, b: (None, a, None, b),
    "nothing but trees": lambda a, b: ((), {}, None),
}


@pytest.mark.parametrize("build", TREES.values(), ids=list(TREES))
def test_trees_are_known_by_their_form(short: Any, build: Any) -> None:
    leaves, structure = tree.flatten(build(array(7), array(5)))
    ends = ready.form_of(structure)
    assert ends is not None and len(ends) == 1
    short._ready[(config.epoch, *[AVAL] * len(leaves), *ends)] = (list, HERE, (AVAL,) * len(leaves), structure, ())
    out = short(*build(array(7), array(5)))
    assert tree.structure(out) == structure and [x._buffer for x in tree.leaves(out)] == [7, 5][: len(leaves)]
    assert short(array(), array()) == "the long way"
    short.long.clear()
    assert short(*build(array(7), array(5)), None) == "the long way"


def test_forms_tell_trees_apart() -> None:
    forms = {ready.form_of(tree.structure(build(1, 2))) for build in TREES.values()}
    assert len(forms) == len(TREES) - 1  # the order in which a dictionary was filled is no part of it
    assert ready.form_of(tree.structure((1, 2))) == ready.form_of(tree.structure(())) == ()


class Registered(NamedTuple):
    inner: Any


portax.tree_util.register_pytree_node(Registered, lambda x: ((x.inner,), None), lambda _, xs: Registered(*xs))


def deep(x: Any) -> Any:
    for _ in range(ready.DEEPEST + 2):
        x = [x]
    return x


OTHERS = {
    "number as key": lambda x: {1: x},
    "ordered": lambda x: collections.OrderedDict(a=x),
    "default": lambda x: collections.defaultdict(int, a=x),
    "registered": Registered,
    "deep": deep,
}


@pytest.mark.parametrize("build", OTHERS.values(), ids=list(OTHERS))
def test_other_trees_go_the_long_way(short: Any, build: Any) -> None:
    put(short, lambda buffers: [0], 1)
    assert short(build(array())) == "the long way"
    assert ready.form_of(tree.structure((build(array()),))) is None


@pytest.mark.parametrize("leaf", [1.0, "text", {"a": 1, 2: 3}], ids=["number", "text", "keys of two kinds"])
def test_trees_with_other_leaves_go_the_long_way(short: Any, leaf: Any) -> None:
    put(short, lambda buffers: [0], 1)
    assert short([array(), leaf]) == "the long way"


def test_donated_arrays_are_gone_and_no_others(short: Any) -> None:
    class Device:
        def delete(self, buffer: Any) -> None:
            deleted.append(buffer)

    deleted: list[Any] = []
    here = Device()
    short._ready[(config.epoch, AVAL, AVAL)] = (lambda buffers: [sum(buffers)], here, (AVAL,), None, (1,))
    kept, given = array(7, here), array(5, here)
    assert short(kept, given)._buffer == 12
    assert deleted == [5] and given.is_deleted() and not kept.is_deleted()
    assert short(kept, given) == "the long way"


def test_a_program_that_fails_has_donated_nothing(short: Any) -> None:
    def run(buffers: list[Any]) -> list[Any]:
        raise KeyError("burnt")

    short._ready[(config.epoch, AVAL)] = (run, HERE, (AVAL,), None, (0,))
    given = array()
    with pytest.raises(KeyError):
        short(given)
    assert not given.is_deleted()


def test_a_step_of_training_takes_the_short_way_after_the_first() -> None:
    """Parameters in a dictionary, a state in a named tuple; the parameters' memory is given to the next."""

    @functools.partial(portax.jit, donate_argnums=0)
    def step(params: Any, state: Pair) -> Any:
        return {k: v - 0.5 * state.left for k, v in params.items()}, Pair(state.left + 1, state.right)

    params, state = {"w": pnp.ones(3), "b": pnp.zeros(())}, Pair(pnp.asarray(1.0), (pnp.ones(2),))
    first = params
    for _ in range(4):
        params, state = step(params, state)
        assert len(step._ready) == 1
    assert float(params["b"]) == -5.0 and params["w"].tolist() == [-4.0] * 3 and float(state.left) == 5.0
    assert type(state) is Pair and first["w"].is_deleted() and not state.right[0].is_deleted()


def test_an_array_that_was_never_filled_does_no_harm(short: Any) -> None:
    put(short, lambda buffers: [0], 1)
    try:
        assert short(object.__new__(ConcreteArray)) == "the long way"
    except AttributeError:
        assert isinstance(short, ready.PlainReadyCall)


def test_keywords_go_the_long_way(short: Any) -> None:
    put(short, lambda buffers: [0], 0)
    assert short(x=1) == "the long way" and short.long == [((), {"x": 1})]


def test_no_keywords_are_none(short: Any) -> None:
    put(short, lambda buffers: [3], 1)
    nothing: dict[str, Any] = {}
    assert short(array(), **nothing)._buffer == 3


def test_another_epoch_goes_the_long_way(short: Any) -> None:
    put(short, lambda buffers: [0], 1)
    with portax.enable_x64(not config.enable_x64):
        assert short(array()) == "the long way"
    assert short(array())._buffer == 0


def test_inside_a_trace_the_long_way_is_taken(short: Any) -> None:
    put(short, lambda buffers: [0], 1)
    seen: list[Any] = []
    portax.make_jaxpr(lambda x: (seen.append(short(array())), x)[1])(1.0)
    assert seen == ["the long way"]


def test_on_several_devices_places_belong_to_the_key(short: Any) -> None:
    key = (config.epoch, AVAL, AVAL, HERE, THERE)
    short._apart[key] = (lambda buffers: [sum(buffers), 0], (THERE, HERE), (AVAL, AVAL), tree.structure((0, 0)), ())
    a, b = short(array(1, HERE, True), array(2, THERE, True))
    assert (a._buffer, a._device, a.committed) == (3, THERE, True)
    assert (b._buffer, b._device, b.committed) == (0, HERE, True)
    assert short(array(1, HERE, True), array(2, HERE, True)) == "the long way"
    assert short(array(1, HERE, False), array(2, THERE, True)) == "the long way"


def test_both_tables_are_asked(short: Any) -> None:
    put(short, lambda buffers: ["one"], 1)
    short._apart[(config.epoch, AVAL, THERE)] = (lambda buffers: ["several"], (THERE,), (AVAL,), None, ())
    assert short(array())._buffer == "one"
    assert short(array(1, THERE, True))._buffer == "several"


def test_what_a_program_raises_arrives(short: Any) -> None:
    def run(buffers: list[Any]) -> list[Any]:
        raise KeyError("burnt")

    put(short, run, 1)
    with pytest.raises(KeyError, match="burnt"):
        short(array())
    assert not short.long


@pytest.mark.parametrize("outs", [[], [1, 2]], ids=["too few", "too many"])
def test_a_program_that_gives_another_number_of_results_is_told_of(short: Any, outs: list[Any]) -> None:
    put(short, lambda buffers: outs, 1)
    with pytest.raises(ValueError):
        short(array())


def test_a_program_that_gives_no_list_is_told_of(short: Any) -> None:
    put(short, lambda buffers: None, 1)
    with pytest.raises(TypeError):
        short(array())


def test_nothing_is_kept_of_a_call(short: Any) -> None:
    class Buffer:
        pass

    put(short, lambda buffers: [Buffer()], 1)
    x = array(Buffer())
    out = short(x)
    seen = [weakref.ref(b) for b in (x._buffer, out._buffer)]
    del x, out
    gc.collect()
    assert [r() for r in seen] == [None, None]


def test_a_callable_in_a_cycle_is_collected(short: Any) -> None:
    kind = type(short)
    call = kind()
    call.itself = call
    call._ready["x"] = call
    gone = weakref.ref(call)
    del call
    gc.collect()
    assert gone() is None


def test_a_table_can_be_exchanged(short: Any) -> None:
    short._ready = {(config.epoch, AVAL): (lambda buffers: [9], HERE, (AVAL,), None, ())}
    assert short(array())._buffer == 9


def test_a_jitted_function_is_called_alike_by_both() -> None:
    """The same calls, in a process that finds no compiled module, give the same results."""
    program = """
import portax, portax.numpy as pnp
from portax.runtime import ready
f = portax.jit(lambda x, y: {"s": x + y, "p": (x * y,)})
x = pnp.arange(4.0)
for _ in range(3):
    out = f(x, x)
assert len(f._ready) == 1, f._ready
print(ready.compiled is None, out["s"].tolist(), out["p"][0].tolist(), out["s"].committed)
"""
    block = "import sys; sys.modules['portax.runtime._ready'] = None\n"
    run = [
        subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PORTAX_PLATFORMS": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split(maxsplit=1)
        for text in (program, block + program)
    ]
    assert run[1][0] == "True" and run[0][1] == run[1][1] == "[0.0, 2.0, 4.0, 6.0] [0.0, 1.0, 4.0, 9.0] False\n"


def test_what_was_compiled_for_another_version_is_left_alone() -> None:
    program = """
import sys, types
other = types.ModuleType("portax.runtime._ready")
other.prepare = None  # as older ones take other arguments
sys.modules["portax.runtime._ready"] = other
import portax
from portax.runtime import ready
print(ready.compiled, ready.why_not, portax.jit(lambda x: x + 1)(1))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    words = "None what was compiled belongs to an older or newer portax: install portax again 2"
    assert done.stdout.strip() == words
