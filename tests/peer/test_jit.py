"""jit and its stages beside jax: every combination of options that means something, and what each stage says."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp

pytestmark = pytest.mark.peer

SIDES = ((portax, pnp), (jax, jnp))

STATIC: list[dict[str, Any]] = [
    {}, {"static_argnums": 2}, {"static_argnums": (2, -2)}, {"static_argnames": "n"},
    {"static_argnames": ("n", "mode")},
    {"static_argnums": 2, "static_argnames": "mode"}, {"static_argnums": [2], "static_argnames": ["n"]},
]  # fmt: skip
DONATED: list[dict[str, Any]] = [
    {}, {"donate_argnums": 0}, {"donate_argnums": (0, 1)}, {"donate_argnames": "x"}, {"donate_argnums": (1,)},
]  # fmt: skip
KEPT = [{}, {"keep_unused": True}]
INLINED = [{}, {"inline": True}]
OPTIONS = [{**s, **d, **k, **i} for s, d, k, i in itertools.product(STATIC, DONATED, KEPT, INLINED)]


def program(x: Any, y: Any, n: Any = 2, *, mode: Any = 1.0) -> Any:
    """Uses some of its arguments; the third and ``mode`` may be static."""
    if isinstance(n, int):
        return {"out": x["a"] * n + mode, "same": y}
    return {"out": x["a"] * n + mode, "same": y}


def name_of(options: dict[str, Any]) -> str:
    return ",".join(f"{k}={v}" for k, v in options.items()) or "none"


def outcome(f: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f()
        except (TypeError, ValueError) as error:
            return error


def called(lib: Any, np_: Any, options: dict[str, Any]) -> Any:
    """What a call gives, and which of its arguments are gone."""
    x, y = {"a": np_.arange(3.0), "unused": np_.ones(2, "int32")}, np_.ones(4)
    f = lib.jit(program, **options)
    out = f(x, y, 3, mode=2)
    again = f({"a": np_.arange(3.0), "unused": np_.ones(2, "int32")}, np_.ones(4), n=3, mode=2)
    given = [x["a"], y]
    leaves = [(np.asarray(v).tolist(), str(v.dtype), bool(v.weak_type)) for v in jax.tree.leaves((out, again))]
    # The peer tells of an array that could not be given away, and keeps it; only those that were are compared.
    return leaves, [v.is_deleted() for v in given[:1]]


@pytest.mark.parametrize("options", OPTIONS[::3], ids=name_of)
def test_a_call_with_options_gives_what_the_peer_gives(options: dict[str, Any]) -> None:
    ours, theirs = [outcome(lambda s=s: called(*s, options)) for s in SIDES]
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), theirs
    else:
        assert ours == theirs


def traced(lib: Any, np_: Any, options: dict[str, Any]) -> Any:
    """The stages of a function, in words."""
    x, y = {"a": np.arange(3, dtype="f4"), "unused": np.ones(2, "i4")}, np.ones(4, "f4")
    args = (x, y, 3)
    stage = lib.jit(program, **options).trace(*args, mode=2)
    lowered = stage.lower()
    found = []
    for s in (stage, lowered, lowered.compile()):
        info = [(tuple(a.shape), str(a.dtype), a.donated) for a in jax.tree.leaves(s.args_info)]
        outs = [(tuple(a.shape), str(a.dtype), bool(a.weak_type)) for a in jax.tree.leaves(s.out_info)]
        avals = [(tuple(a.shape), str(a.dtype), a.weak_type) for a in jax.tree.leaves(s.in_avals)]
        found.append((info, outs, avals, str(s.in_tree), str(s.out_tree), tuple(s.donate_argnums)))
    return stage.fun_name, str(stage.jaxpr), found


@pytest.mark.parametrize("options", OPTIONS[::4], ids=name_of)
def test_the_stages_say_what_the_peers_say(options: dict[str, Any]) -> None:
    ours, theirs = [outcome(lambda s=s: traced(*s, options)) for s in SIDES]
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), theirs
    else:
        assert ours == theirs


# Where a function is inlined, the peer converts the numbers it is given at once, and here equations do.
@pytest.mark.parametrize("options", [o for o in OPTIONS if "inline" not in o][::3], ids=name_of)
def test_inside_another_program_the_text_is_the_peers(options: dict[str, Any]) -> None:
    def text(lib: Any, np_: Any) -> str:
        f = lib.jit(program, **options)
        return str(
            lib.make_jaxpr(lambda x, y: f(x, y, 3, mode=2)["out"] * 2)({"a": np.ones(3, "f4")}, np.ones(4, "f4"))
        )

    ours, theirs = [outcome(lambda s=s: text(*s)) for s in SIDES]
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), theirs
    else:
        # A result that nobody reads is printed _ here, wherever it is.
        assert re.sub(r"\w+:", ":", ours) == re.sub(r"\w+:", ":", theirs)


STAGES = {"Traced": portax.stages.Traced, "Lowered": portax.stages.Lowered, "Compiled": portax.stages.Compiled}
#: Members that wait: shardings and layouts of arguments and results, and a program in terms of other libraries' types.
WAITING = {"input_shardings", "output_shardings", "input_formats", "output_formats", "lojax"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_the_peers_members(name: str) -> None:
    theirs = {n for n in dir(getattr(jax.stages, name)) if n[0] != "_"}
    # What is no property or method of the class there is a field of an instance here.
    missing = {n for n in theirs - WAITING if not hasattr(STAGES[name], n)}
    private = {n for n in missing if not isinstance(getattr(getattr(jax.stages, name), n), property | type(name_of))}
    assert not missing - private


def test_a_compiled_program_is_called_with_what_it_was_made_for() -> None:
    for lib, _ in SIDES:
        compiled = lib.jit(lambda x, n: x * n, static_argnums=1).lower(np.ones(3, "f4"), 2).compile()
        np.testing.assert_array_equal(compiled(np.ones(3, "f4")), [2, 2, 2])
        with pytest.raises(TypeError):
            compiled(np.ones(4, "f4"))
        with pytest.raises(TypeError):
            compiled(np.ones(3, "f4"), 2)
        assert compiled.cost_analysis()["flops"] >= 3
        assert compiled.memory_analysis().output_size_in_bytes == 12
        assert isinstance(lib.jit(lambda x: x), lib.stages.Wrapped)


def test_jitted_functions_are_jitted_again_and_transformed() -> None:
    def whole(lib: Any, np_: Any) -> Any:
        @lib.jit
        def inner(x: Any, scale: Any) -> Any:
            return {"y": np_.sin(x) * scale, "n": scale}

        outer = lib.jit(lib.jit(inner))
        x = np.linspace(0, 1, 3, dtype="f4")
        loss = lambda x, s: inner(x, s)["y"].sum()
        return [
            outer(x, 2), lib.jit(lib.grad(loss))(x, 2.0), lib.grad(lib.jit(loss), argnums=(0, 1))(x, 2.0),
            lib.vmap(inner, (0, None))(x, 2), lib.jit(lib.vmap(lib.jit(inner)))(x, x),
            lib.jvp(outer, (x, 2.0), (x, 1.0)), lib.jit(lib.hessian(loss))(x, 2.0),
            lib.jit(lambda x: lib.jit(lambda y: x * y)(x))(x), lib.jit(lambda: 3)(),
            lib.jit(lambda *a, **k: (a, k))(1, b=x),
        ]  # fmt: skip

    ours, theirs = [jax.tree.leaves(whole(*s)) for s in SIDES]
    for a, b in zip(ours, theirs, strict=True):
        assert (str(a.dtype), a.shape, bool(a.weak_type)) == (str(b.dtype), b.shape, bool(b.weak_type))
        np.testing.assert_allclose(a, b, rtol=1e-6)


REFUSED: dict[str, Any] = {
    "an argument that is no array": lambda lib: lib.jit(lambda x: x)("a"),
    "a result that is no array": lambda lib: lib.jit(lambda x: "a")(1),
    "a static value without hash": lambda lib: lib.jit(lambda x, n: x, static_argnums=1)(1, [2]),
    "a static number out of range": lambda lib: lib.jit(lambda x: x, static_argnums=3)(1),
    "a static name that is none": lambda lib: lib.jit(lambda x: x, static_argnames="y")(1),
    "a donated name that is none": lambda lib: lib.jit(lambda x: x, donate_argnames="y")(1),
    "static and donated": lambda lib: lib.jit(lambda x, n: x, static_argnums=1, donate_argnums=1)(1, 2),
    "no function": lambda lib: lib.jit(3),
    "a truth": lambda lib: lib.jit(lambda x: x if x > 0 else -x)(1.0),
    "an index": lambda lib: lib.jit(lambda i: [1, 2][i])(1),
    "a number": lambda lib: lib.jit(lambda x: float(x))(1.0),
    "NumPy": lambda lib: lib.jit(lambda x: np.sin(x))(1.0),
    "an item": lambda lib: lib.jit(lambda x: x.item())(1.0),
    "a range": lambda lib: lib.jit(lambda n: sum(range(n)))(3),
    "too few arguments": lambda lib: lib.jit(lambda x, y: x)(1),
    "an unknown keyword": lambda lib: lib.jit(lambda x: x)(1, z=2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_peer_refuses_is_refused_here(name: str) -> None:
    for lib, _ in SIDES:
        with pytest.raises((TypeError, ValueError, IndexError)):
            REFUSED[name](lib)


@pytest.mark.parametrize("inner", ["jit", "grad", "vmap", "scan", "cond"])
def test_a_leaked_tracer_is_named_as_by_the_peer(inner: str) -> None:
    for lib, _ in SIDES:
        kept: list[Any] = []

        def keep(x: Any, kept: list[Any] = kept) -> Any:
            kept.append(x * 2)
            return x * 2

        {
            "jit": lambda lib=lib, keep=keep: lib.jit(keep)(1.0),
            "grad": lambda lib=lib, keep=keep: lib.jit(lib.grad(keep))(1.0),
            "vmap": lambda lib=lib, keep=keep: lib.jit(lib.vmap(keep))(np.ones(2)),
            "scan": lambda lib=lib, keep=keep: lib.lax.scan(lambda c, _: (keep(c), None), 1.0, None, length=2),
            "cond": lambda lib=lib, keep=keep: lib.lax.cond(np.True_, keep, lambda x: x, np.float32(1)),
        }[inner]()
        with pytest.raises(lib.errors.UnexpectedTracerError):
            kept[0] + 1
