"""The user's jitted function: stage once for each signature, then dispatch.

A signature is what the program depends on: the tree of the arguments, their avals, the static values, the settings.
A call with a known signature is the hottest path there is, and `ReadyCall` takes it: flat array arguments build no
tree, ask no rule and read one dictionary. The table of signatures belongs to the wrapped function, so jitting it twice
stages it once, and is bounded.
"""

from __future__ import annotations

import functools
import inspect
import time
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portax import errors, monitoring
from portax.core import tree
from portax.core.aval import aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.core.refs import Cell
from portax.core.trace import Tracer, state
from portax.higher_order.calls import jit_p, target_device
from portax.higher_order.checks import check_output, without_float0
from portax.higher_order.references import Inside, References
from portax.higher_order.stages import Lowered, Traced
from portax.runtime import devices, eager
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import EvalTrace
from portax.runtime.placements import is_spread
from portax.runtime.programs import Options, Program, prepare
from portax.runtime.ready import ReadyCall, form_of
from portax.transforms.stage import stage_open

constraint = lazy("portax.higher_order.constraint")
guards = lazy("portax.runtime.guards")
logs = lazy("portax.runtime.logs")
recompiles = lazy("portax.higher_order.recompiles")
spread = lazy("portax.runtime.spread")

#: Signatures one function keeps; the oldest goes first.
SIGNATURES = 4096


class Static:
    """A static value in a signature: equal by type and ``==``."""

    __slots__ = ("_hash", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self._hash = hash(value)
        except TypeError:
            raise errors.ArgumentError(
                wrong=f"a static argument must be hashable, got {value!r} of type {type(value).__name__}",
                fix="Pass a tuple instead of a list, or do not mark it static",
            ) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return self._hash


class _Same:
    """Shardings in the key of a table: equal where they are the same object, or nothing."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class Signature:
    """What staging at one signature gave."""

    __slots__ = (
        "arranged", "closed", "consts", "donated", "form", "in_shardings", "options", "out_avals", "out_shardings",
        "out_tree", "params", "programs", "refs", "single", "spread",
    )  # fmt: skip

    def __init__(
        self, closed: ClosedJaxpr, consts: list[Any], out_tree: Any, options: Options, params: dict[str, Any],
        form: tuple[Any, ...] | None, refs: References | None = None, in_shardings: list[Any] | None = None,
        out_shardings: list[Any] | None = None,
    ) -> None:  # fmt: skip
        self.closed, self.consts, self.out_tree = closed, consts, out_tree
        self.out_avals, self.options, self.params = closed.out_avals, options, params
        self.donated = options.donated
        #: How its arguments are built; None where calls do not take the short way.
        self.form = form if refs is None else None
        #: The result is one array and no tree.
        self.single = out_tree == _LEAF
        #: device -> Program
        self.programs: dict[Any, Program] = {}
        #: On several devices: by where the operands are, how the program is arranged, and the program.
        self.arranged: dict[Any, tuple[Any, Any]] = {}
        #: What it does to mutable references: None where it touches none.
        self.refs = refs
        #: A sharding (or None) for each leaf, where the user gave any.
        self.in_shardings, self.out_shardings = in_shardings, out_shardings
        #: It names several devices, wherever its arguments are.
        self.spread = in_shardings is not None or out_shardings is not None or is_spread(closed, ())


_LEAF = tree.structure(0)


class JitFunction(ReadyCall):
    """A function that is staged once for each signature and then runs as a compiled program.

    Made by ``jit``; has the wrapped function's name and signature.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        donate_argnums: tuple[int, ...],
        donate_argnames: tuple[str, ...],
        keep_unused: bool,
        inline: bool,
        effort: str,
        device: Any,
        in_shardings: Any = None,
        out_shardings: Any = None,
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.static_argnums, self.static_argnames = static_argnums, static_argnames
        self.donate_argnums, self.donate_argnames = donate_argnums, donate_argnames
        self.keep_unused, self.inline, self.effort = keep_unused, inline, effort
        self.device = device
        self.in_shardings, self.out_shardings = in_shardings, out_shardings
        self._plain = not static_argnums and not static_argnames and device is None
        options = (
            static_argnums, static_argnames, donate_argnums, donate_argnames, keep_unused, inline, effort,
            _Same(in_shardings), _Same(out_shardings),
        )  # fmt: skip
        self._ready = _table(fun, ("ready", *options))
        self._apart = _table(fun, ("apart", *options))
        self._signatures: dict[Any, Signature] = _table(fun, options)

    # -- calling ------------------------------------------------------------------------------------------------------
    def _long(self, *args: Any, **kwargs: Any) -> Any:
        """A call for which no program is ready, or that is traced."""
        if type(state.trace) is not EvalTrace:
            return self._bind(args, kwargs)
        if config.disable_jit:
            return self.fun(*args, **kwargs)
        leaves, key, rebuild = self._flatten(args, kwargs)
        signature = self._signatures.get(key) or self._stage(leaves, key, rebuild)
        if signature.refs is not None:
            run = self._guarded if config.guarded else self._run
            return signature.refs.around(leaves, self._name(), lambda values: run(signature, values))
        if config.guarded:
            return self._guarded(signature, leaves)
        return self._run(signature, leaves, signature.form is not None)

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The call as one operation of the program that is being traced."""
        if config.disable_jit:
            return self.fun(*args, **kwargs)
        leaves, key, rebuild = self._flatten(args, kwargs)
        signature = self._signatures.get(key) or self._stage(leaves, key, rebuild)
        if signature.refs is not None:
            return signature.refs.around(leaves, self._name(), lambda values: _bound(signature, values))
        return _bound(signature, leaves)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def _guarded(self, signature: Signature, leaves: Sequence[Any]) -> Any:
        """A call while something is watched or forbidden."""
        name = self._name()
        guards.before_running(name)
        for x in leaves:
            if type(x) is not ConcreteArray:
                guards.transfer("host_to_device", aval_of(x))
        with guards.noted(name) as done:
            out = self._run(signature, leaves)
            done(tree.leaves(out))
        if signature.donated:  # the operands are gone, and nothing can be run again
            guards.check_results(name, tree.leaves(out))
        else:
            guards.find_in(name, signature.closed, [*signature.consts, *leaves], tree.leaves(out))
        return out

    def _run(self, signature: Signature, leaves: Sequence[Any], short: bool = False) -> Any:
        """Run a staged program on the leaves of its arguments.

        ``short``: where they are arrays and nothing needs to be looked at again, the next such call is a short one.
        """
        committed = False
        device = self.device or config.default_device
        for x in leaves:
            if type(x) is ConcreteArray and x.committed:
                committed = True
                break
        if signature.spread or (committed and is_spread(signature.closed, leaves)):
            return self._run_spread(signature, leaves, short)
        if committed:
            arrays = [x if type(x) is ConcreteArray else _argument(x) for x in leaves]
            device, _ = target_device(arrays, signature.options.name)
            leaves = arrays
        elif device is None:
            device = devices.default_device()
        program = signature.programs.get(device)
        if program is None:
            device = devices.as_device(device)
            program = signature.programs[device] = prepare(signature.closed, device, signature.options)
        kept = program.kept
        if short and kept is None and all(type(x) is ConcreteArray for x in (*signature.consts, *leaves)):
            first = [*program.extra, *[c.buffer_on(device) for c in signature.consts]]
            self._shorten(self._ready, signature, leaves, (), _after(first, program.run), device)
        buffers = program.extra.copy()
        if signature.consts:
            leaves = [*signature.consts, *leaves]
        for x in leaves if kept is None else [leaves[i] for i in kept]:
            if type(x) is ConcreteArray:
                buffer = x._buffer  # pyright: ignore[reportPrivateUsage]
                if buffer is None or x._device is not device:  # pyright: ignore[reportPrivateUsage]
                    buffer = x.buffer_on(device)
            else:
                buffer = _argument(x).buffer_on(device)
            buffers.append(buffer)
        outs = program.run(buffers)
        if signature.donated:
            for i in signature.donated:
                if type(leaves[i]) is ConcreteArray:
                    leaves[i].delete()
        if signature.single:
            return ConcreteArray(signature.out_avals[0], None, outs[0], device, committed)
        results = [
            ConcreteArray(aval, None, buffer, device, committed)
            for aval, buffer in zip(signature.out_avals, outs, strict=True)
        ]
        return tree.unflatten(signature.out_tree, results)

    def _shorten(
        self, table: dict[Any, Any], signature: Signature, leaves: Sequence[Any], where: Sequence[Any], run: Any,
        device: Any,
    ) -> None:  # fmt: skip
        """Have calls like this one take the short way from now on."""
        if len(table) >= SIGNATURES:
            table.clear()
        donated = tuple([i - len(signature.consts) for i in signature.donated])
        out_tree = None if signature.single else signature.out_tree
        key = (config.epoch, *[x.aval for x in leaves], *where, *(signature.form or ()))
        table[key] = (run, device, tuple(signature.out_avals), out_tree, donated)

    def _run_spread(self, signature: Signature, leaves: Sequence[Any], short: bool) -> Any:
        """Run a staged program on several devices; ``short`` as in ``_run``."""
        arrays = [x if type(x) is ConcreteArray else _argument(x) for x in leaves]
        if signature.consts:
            arrays = [*signature.consts, *arrays]
        # Placements are interned, so where operands are is a key at hand.
        key = tuple([x._device if x.committed else None for x in arrays])  # pyright: ignore[reportPrivateUsage]
        found = signature.arranged.get(key)
        if found is None:
            wanted = signature.in_shardings
            if wanted is not None:
                wanted = [*[None] * len(signature.consts), *wanted]
            found = spread.arranged(signature.closed, arrays, signature.options, wanted, signature.out_shardings)
            if len(signature.arranged) >= SIGNATURES:
                signature.arranged.clear()
            signature.arranged[key] = found
        arrangement, program = found
        if short and program.kept is None and not signature.consts:
            where = [x._device if type(x) is ConcreteArray and x.committed else None for x in leaves]
            if where == list(arrangement.places):
                run = _after(program.extra, program.run)
                self._shorten(self._apart, signature, leaves, where, run, tuple(program.results))
        outs = spread.execute(signature.closed, *found, arrays, signature.options)
        return outs[0] if signature.single else tree.unflatten(signature.out_tree, outs)

    # -- staging ------------------------------------------------------------------------------------------------------
    def _flatten(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], Any, Any]:
        """``(leaves, key, rebuild)``: dynamic leaves, the signature's key, and what makes arguments of leaves."""
        statics: tuple[Any, ...] = ()
        if self.static_argnums or self.static_argnames:
            numbers = {i if i >= 0 else i + len(args) for i in self.static_argnums}
            static_args = tuple((i, Static(x)) for i, x in enumerate(args) if i in numbers)
            static_kwargs = tuple((k, Static(v)) for k, v in sorted(kwargs.items()) if k in self.static_argnames)
            statics = (static_args, static_kwargs)
            dynamic = tuple(x for i, x in enumerate(args) if i not in numbers)
            named = {k: v for k, v in kwargs.items() if k not in self.static_argnames}
        else:
            dynamic, named = tuple(args), kwargs
        leaves, structure = tree.flatten((dynamic, named))
        avals = tuple([x.aval if type(x) is ConcreteArray else self._aval(x) for x in leaves])
        key = (structure, avals, statics, config.epoch, state.axes, state.alike)
        return leaves, key, (structure, statics, len(args))

    def _aval(self, x: Any) -> Any:
        if isinstance(x, Cell):
            return x.aval
        try:
            return aval_of(x)
        except errors.DtypeError:
            raise errors.ArgumentError(
                wrong=f"{self._name()} was called with {x!r} of type {type(x).__name__}, which is not an array",
                fix="Mark the argument static with static_argnums or static_argnames, or pass an array",
            ) from None

    def _name(self) -> str:
        return getattr(self.fun, "__name__", type(self.fun).__name__)

    def _stage(self, leaves: Sequence[Any], key: Any, rebuild: Any) -> Signature:
        structure, statics, count = rebuild
        self._announce(key)
        started = time.time()
        out_tree: list[Any] = []
        inside = Inside(leaves)
        name = self._name()
        ins = self._leaf_shardings(structure)
        outs_at: list[list[Any]] = []

        def flat(*xs: Any) -> list[Any]:
            if ins is not None:
                xs = tuple([x if s is None else constraint.constrain(x, s) for x, s in zip(xs, ins, strict=True)])
            args, kwargs = tree.unflatten(structure, inside.arguments(xs))
            if statics:
                fixed, rest = dict(statics[0]), iter(args)
                args = [fixed[i].value if i in fixed else next(rest) for i in range(count)]
                kwargs = {**kwargs, **{k: v.value for k, v in statics[1]}}
            outs, out = tree.flatten(without_float0(self.fun(*args, **kwargs)))
            out_tree.append(out)
            for x in outs:
                check_output(x, name)
            if self.out_shardings is not None:
                outs_at.append(constraint.leaf_shardings(self.out_shardings, out, f"out_shardings of {name}"))
                outs = [x if s is None else constraint.constrain(x, s) for x, s in zip(outs, outs_at[0], strict=True)]
            return [*outs, *inside.values()]

        closed, consts = stage_open(flat, inside.avals(key[1]), name, inside.scope)
        monitoring.elapsed(monitoring.TRACE, started, time.time(), fun_name=name)
        if config.log_compiles:
            logs.staged(name, time.time() - started)
        held = sum(getattr(x, "nbytes", 0) for x in (*consts, *closed.consts))
        if held > config.captured_constants_warn_bytes:
            warnings.warn(
                f"{name} holds {held:,} bytes of arrays that it did not get as arguments. "
                "Pass them as arguments, or raise the setting captured_constants_warn_bytes.",
                stacklevel=4,
            )
        donated = self._donated(structure, statics, count)
        refs, results = inside.found(out_tree[0]), out_tree[0]
        outs = outs_at[0] if outs_at else None
        if refs is not None and (ins is not None or outs is not None):
            raise errors.GapError(
                wrong=f"{name} changes references, and was given shardings",
                fix="Leave in_shardings and out_shardings out, or pass values instead of references",
            )
        if refs is not None:  # what a reference held may be held by others too
            donated = tuple(d and i not in inside.given for i, d in enumerate(donated))
            donated = (*[False] * len(refs.captured), *donated)
            results = refs.out_tree
        params = {
            "jaxpr": closed, "name": name, "donated_invars": (False,) * len(consts) + donated,
            "keep_unused": self.keep_unused, "inline": self.inline, "effort": self.effort,
        }  # fmt: skip
        places = tuple(i for i, d in enumerate(params["donated_invars"]) if d)
        options = Options(name, self.effort, places, self.keep_unused)
        lasting = not any(isinstance(c, Tracer) for c in consts)
        if lasting:
            consts = [_constant(c) for c in consts]
        # What is static, or chosen by name, is looked at in each call.
        form = form_of(structure.kids[0]) if self._plain and not structure.kids[1].kids else None
        signature = Signature(closed, consts, results, options, params, form, refs, ins, outs)
        if lasting and (refs is None or refs.lasting):
            if len(self._signatures) >= SIGNATURES:
                self._signatures.pop(next(iter(self._signatures)), None)
            self._signatures[key] = signature
        return signature

    def _leaf_shardings(self, structure: Any) -> list[Any] | None:
        """What ``in_shardings`` says of each leaf; keyword arguments are left alone."""
        if self.in_shardings is None:
            return None
        given, _ = tree.unflatten(structure, [0] * structure.num_leaves)
        ins = constraint.leaf_shardings(self.in_shardings, tree.structure(given), f"in_shardings of {self._name()}")
        return [*ins, *[None] * (structure.num_leaves - len(ins))]

    def _announce(self, key: Any) -> None:
        """Tell those who asked that a signature is about to be staged, or refuse to."""
        if config.no_tracing:
            raise errors.DisallowedError(
                wrong=f"{self._name()} was to be traced, and the setting no_tracing forbids it: "
                + recompiles.why(self, key),
                fix="Call it with arguments of these shapes and dtypes before the block with no_tracing(True)",
            )
        if config.explain_cache_misses:
            logs.explained(recompiles.why(self, key))
        for watcher in watchers:
            watcher(self, key)

    def _donated(self, structure: Any, statics: Any, count: int) -> tuple[bool, ...]:
        """Which leaves belong to a donated argument."""
        n = structure.num_leaves
        if not self.donate_argnums and not self.donate_argnames:
            return (False,) * n
        fixed = {i for i, _ in statics[0]} if statics else set()
        numbers = {i % count if count else i for i in self.donate_argnums}
        args, kwargs = tree.unflatten(structure, [False] * n)
        places = [i for i in range(count) if i not in fixed]
        marked_args = tuple(
            tree.tree_map(lambda _, d=place in numbers: d, arg) for place, arg in zip(places, args, strict=True)
        )
        marked_kwargs = {k: tree.tree_map(lambda _, d=k in self.donate_argnames: d, v) for k, v in kwargs.items()}
        return tuple(tree.leaves((marked_args, marked_kwargs)))

    # -- for people ---------------------------------------------------------------------------------------------------
    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Stage for these arguments (arrays, or ShapeDtypeStructs) and show the program; nothing runs."""
        leaves, key, rebuild = self._flatten(args, kwargs)
        signature = self._signatures.get(key) or self._stage(leaves, key, rebuild)
        where = [spread.sharding_of(x) for x in leaves] if any(hasattr(x, "sharding") for x in leaves) else ()
        return Traced(signature, rebuild[0], key[1], where, self.device)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Stage for these arguments and write the program as StableHLO."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of what a call would return; nothing runs."""
        return self.trace(*args, **kwargs).out_info

    def clear_cache(self) -> None:
        """Forget all staged programs."""
        self._signatures.clear()
        self._ready.clear()
        self._apart.clear()

    def _cache_size(self) -> int:
        return len({id(s) for s in self._signatures.values()})

    def __repr__(self) -> str:
        return f"<jit of {self.fun!r}>"


def _bound(signature: Signature, leaves: Sequence[Any]) -> Any:
    """A staged program as one operation on the leaves of its arguments."""
    outs = jit_p.bind(*signature.consts, *leaves, **signature.params)
    return tree.unflatten(signature.out_tree, outs)


def _argument(x: Any) -> ConcreteArray:
    """A concrete array from an argument that is none. A NumPy array is copied: its owner may write to it later."""
    return x if type(x) is ConcreteArray else eager.asarray(x, copy=True)


def _constant(x: Any) -> ConcreteArray:
    """A large constant as the program keeps it.

    One that no device has yet may be a view of a NumPy array of the user's, who may write to it later: it is copied.
    """
    x = _argument(x)
    return x if x._buffer is not None else ConcreteArray(x.aval, x.host().copy(), None, x._device, x.committed)  # pyright: ignore


def _after(first: list[Any], run: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], list[Any]]:
    """``run`` with buffers that come before those it is given."""
    return (lambda buffers: run([*first, *buffers])) if first else run


_tables: weakref.WeakKeyDictionary[Any, dict[Any, dict[Any, Any]]] = weakref.WeakKeyDictionary()


def _table(fun: Callable[..., Any], options: Any) -> dict[Any, Any]:
    """The signatures of a function under some options: one table, however often it is jitted."""
    if not isinstance(fun, types.FunctionType):
        return {}
    return _tables.setdefault(fun, {}).setdefault(options, {})


def clear_caches() -> None:
    """Forget all staged programs of all jitted functions.

    Examples
    --------
    >>> portax.clear_caches()
    """
    for tables in list(_tables.values()):
        for table in tables.values():
            table.clear()


#: Called before a signature is staged, with the function and the key: what ``no_recompile`` watches.
watchers: list[Callable[[JitFunction, Any], None]] = []


def as_tuple(x: Any) -> tuple[Any, ...]:
    """None, one value, or several, as a tuple."""
    if x is None:
        return ()
    return (x,) if isinstance(x, str | int) else tuple(x)


def argument_places(
    fun: Callable[..., Any], numbers: Iterable[int] | int | None, names: Iterable[str] | str | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Argument numbers and names, each completed from the other by the function's signature."""
    nums, words = as_tuple(numbers), as_tuple(names)
    if not nums and not words:
        return (), ()
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return nums, words
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keyword = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for word in words:
        if word not in keyword and not takes_any:
            raise errors.ArgumentError(
                wrong=f"{getattr(fun, '__name__', fun)} has no argument called {word!r}",
                fix=f"Its arguments are: {', '.join(p.name for p in parameters)}",
            )
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for i in nums:
        if not variadic and not -len(positional) <= i < len(positional):
            raise errors.ArgumentError(
                wrong=f"{getattr(fun, '__name__', fun)} has no positional argument {i}; it has {len(positional)}",
                fix=f"Give 0 to {len(positional) - 1}",
            )
    extra_names = tuple(positional[i] for i in nums if -len(positional) <= i < len(positional))
    extra_nums = tuple(positional.index(w) for w in words if w in positional)
    return tuple(dict.fromkeys((*nums, *extra_nums))), tuple(dict.fromkeys((*words, *extra_names)))


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    compiler_options: dict[str, Any] | None = None,
    effort: str = "full",
) -> Any:
    """A version of ``fun`` that is staged once for each signature and runs as a compiled program.

    Parameters
    ----------
    fun : callable
        Pure: same arguments, same results, no side effects. Its arguments and results are trees of arrays.
        Left out, ``jit`` is a decorator with options.
    in_shardings, out_shardings : trees of Sharding, PartitionSpec or None, prefixes of the arguments and of the result
        How arguments and results lie on several devices. None leaves it to the argument, and to the compiler.
    static_argnums, static_argnames : int, str or several
        Arguments that are part of the program instead of its operands: hashable values; the function is staged anew
        for each.
    donate_argnums, donate_argnames : int, str or several
        Arguments whose memory the program may reuse. They are deleted by the call.
    keep_unused : bool
        Pass arguments to the program that it does not read.
    device, backend : Device or str
        Where to run, if no argument is committed elsewhere.
    inline : bool
        Inside another traced function, leave no trace of the boundary.
    effort : {"full", "fast", "interpret"}
        How much time compiling may take. "interpret" runs the primitives one by one and compiles nothing.

    Returns
    -------
    callable
        With the methods ``trace``, ``lower``, ``eval_shape`` and ``clear_cache``.

    Raises
    ------
    ArgumentError
        An argument is neither array nor static, a static one cannot be hashed, or an option names no argument.

    Examples
    --------
    >>> import portax
    >>> f = portax.jit(lambda x: 2 * x + 1)
    >>> float(f(3.0))
    7.0
    """
    if fun is None:
        options = {k: v for k, v in locals().items() if k not in ("fun",)}
        return functools.partial(jit, **options)
    if not callable(fun):
        raise errors.ArgumentError(wrong=f"jit needs a function, got {fun!r}", fix="Give a callable")
    if effort not in ("full", "fast", "interpret"):
        raise errors.ArgumentError(wrong=f"jit knows no effort {effort!r}", fix='Give "full", "fast" or "interpret"')
    if compiler_options:
        raise errors.ArgumentError(
            wrong=f"jit knows no compiler options, got {sorted(compiler_options)}",
            fix="Choose how much to optimise with effort=",
        )
    target = device if device is not None else backend
    static, donated = (
        argument_places(fun, numbers, names)
        for numbers, names in ((static_argnums, static_argnames), (donate_argnums, donate_argnames))
    )
    both = [*(set(static[0]) & set(donated[0])), *(set(static[1]) & set(donated[1]))]
    if both:
        raise errors.ArgumentError(
            wrong=f"jit was asked to donate argument {both[0]!r}, which is static and has no memory",
            fix="Leave it out of donate_argnums and donate_argnames",
        )
    return JitFunction(
        fun,
        *static,
        *donated,
        keep_unused,
        inline,
        effort,
        None if target is None else devices.as_device(target),
        in_shardings,
        out_shardings,
    )
