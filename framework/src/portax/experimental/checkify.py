"""Errors as values: a function that may fail becomes one that returns its error beside its result.

Programs are staged, and a staged program cannot raise. ``checkify`` walks the program and threads one number through
it: 0, or the number of the first check that failed, with the values its words tell of. Checks are numbered in the order
they stand in the program, nested programs included, so a loop carries the number and the values of the checks inside
it, and a branch returns them. What holds no check is left as it was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr, Eqn, Literal
from portax.core.trace import state
from portax.core.tree import register_pytree_with_keys
from portax.core.treenodes import GetAttrKey
from portax.errors import ArgumentError, CheckError
from portax.higher_order.closures import name_of
from portax.primitives.checking import check as check_p
from portax.primitives.checking import worded
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import host_value
from portax.transforms.stage import stage_closed, stage_open

__all__ = [
    "Error",
    "ErrorCategory",
    "all_checks",
    "automatic_checks",
    "check",
    "check_error",
    "checkify",
    "debug_check",
    "div_checks",
    "float_checks",
    "index_checks",
    "nan_checks",
    "user_checks",
]

#: A kind of check.
ErrorCategory = str

user_checks: frozenset[str] = frozenset({"user"})
nan_checks: frozenset[str] = frozenset({"nan"})
index_checks: frozenset[str] = frozenset({"index"})
div_checks: frozenset[str] = frozenset({"div"})
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks


# -- the user's checks ------------------------------------------------------------------------------------------------
def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """Fail unless a condition holds.

    Parameters
    ----------
    pred : bool, or Array of bool of shape ()
    msg : str
        What is wrong where it does not hold, with places for values as ``str.format`` has them.
    *fmt_args, **fmt_kwargs : arrays and numbers
        The values.
    debug : bool
        In a program that nobody made functional, the check is dropped instead of refused.

    Raises
    ------
    CheckError
        At once, where the condition is known and does not hold.
    ArgumentError
        The message is no string, or a value is no array.

    Examples
    --------
    >>> import portax
    >>> from portax.experimental import checkify
    >>> def root(x):
    ...     checkify.check(x >= 0, "x must not be negative, got {x}", x=x)
    ...     return x ** 0.5
    >>> error, y = portax.jit(checkify.checkify(root))(-4.0)
    >>> error.get()
    'x must not be negative, got -4.0 (`check` failed)'
    """
    if not isinstance(msg, str):
        raise ArgumentError(
            wrong=f"check needs words to fail with, got {msg!r}", fix="Give a string after the condition"
        )
    values, structure = tree.flatten((fmt_args, fmt_kwargs))
    pred = pnp.asarray(pred)
    check_p.bind(pred, *map(pnp.asarray, values), message=msg, structure=structure, debug=debug)


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """``check``, dropped in a program that nobody made functional."""
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


# -- errors -----------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Site:
    """Where a check stands, and what it says.

    Attributes
    ----------
    kind : str
        "user", "nan", "div" or "index".
    message : str
    structure : PyTreeDef
        Of the values of the message.
    avals : tuple of Aval
        Of these values.
    place : (file, line, function) or None
    """

    kind: str
    message: str
    structure: Any
    avals: tuple[Aval, ...]
    place: tuple[str, int, str] | None

    def words(self, values: Sequence[Any]) -> str:
        """What the check says of these values."""
        text = worded(self.message, self.structure, values)
        return text + " (`check` failed)" if self.kind == "user" else text


class Error:
    """The first check that failed, if any; a tree, so that it passes through programs, batches and loops.

    Made by `checkify`.

    Attributes
    ----------
    code : Array of int32
        0, or the number of the check that failed; one for each row of a batch.
    payload : list of lists of Arrays
        For each check, the values its words tell of.
    sites : tuple of Site
    """

    __slots__ = ("code", "payload", "sites")

    def __init__(self, code: Any, payload: Sequence[Sequence[Any]], sites: tuple[Site, ...]) -> None:
        self.code, self.payload, self.sites = code, payload, sites

    def get(self) -> str | None:
        """What failed, in words; None where nothing did."""
        lines = []
        codes = np.asarray(host_value(self.code))
        for where in zip(*np.nonzero(codes), strict=True) if codes.ndim else ([()] if codes else []):
            k = int(codes[where]) - 1
            said = self.sites[k].words([host_value(x)[where] for x in self.payload[k]])
            lines.append(f"at mapped index {', '.join(map(str, where))}: {said}" if where else said)
        return "\n".join(lines) or None

    def throw(self) -> None:
        """Raise what failed; nothing where nothing did.

        Raises
        ------
        CheckError
        """
        said = self.get()
        if said is not None:
            first = int(np.asarray(host_value(self.code)).ravel()[np.flatnonzero(host_value(self.code))[0]]) - 1
            raise CheckError(
                wrong=said, fix="Give what the check asks for, or read the error with .get()",
                where=self.sites[first].place,
            )  # fmt: skip

    def get_exception(self) -> CheckError | None:
        """The exception that ``throw`` would raise."""
        try:
            self.throw()
        except CheckError as error:
            return error
        return None

    def __repr__(self) -> str:
        return f"Error({self.get()!r})" if isinstance(self.code, ConcreteArray) else "Error(traced)"


register_pytree_with_keys(
    Error,
    lambda e: (((GetAttrKey("code"), e.code), (GetAttrKey("payload"), e.payload)), e.sites),
    lambda sites, parts: Error(parts[0], parts[1], sites),
)


def check_error(error: Error) -> None:
    """Fail as ``error`` does: at once, or as a check of the program that is being traced.

    Raises
    ------
    CheckError
        At once, where the error is known.

    Examples
    --------
    >>> from portax.experimental import checkify
    >>> error, _ = checkify.checkify(lambda x: checkify.check(x > 0, "too small"))(1.0)
    >>> checkify.check_error(error)
    """
    if np.ndim(error.code):
        raise ArgumentError(
            wrong=f"check_error was given the errors of a batch of shape {np.shape(error.code)}",
            fix="Call it in the function that is mapped, or use error.throw()",
        )
    for k, (site, values) in enumerate(zip(error.sites, error.payload, strict=True)):
        check_p.bind(
            pnp.asarray(error.code != k + 1), *values, message=site.message, structure=site.structure, debug=False
        )  # fmt: skip


# -- which checks there are -------------------------------------------------------------------------------------------
_CODE = Aval((), np.dtype(np.int32))
_NOTHING = tree.structure(((), {}))
#: They move numbers, and make none.
_MOVING = frozenset(
    "broadcast_in_dim reshape transpose slice dynamic_slice dynamic_update_slice concatenate pad rev gather "
    "scatter select_n squeeze copy stop_gradient name split tile stack unstack optimization_barrier "
    "convert_element_type".split()
)
_INDEXING = {"gather": 1, "scatter": 1, "scatter-add": 1, "scatter-mul": 1, "scatter-min": 1, "scatter-max": 1}
_SLICING = {"dynamic_slice": 1, "dynamic_update_slice": 2}


def programs_of(eqn: Eqn) -> list[ClosedJaxpr]:
    """The programs inside an equation, in the order of its parameters."""
    found: list[ClosedJaxpr] = []
    for value in eqn.params.values():
        found += [x for x in (value if isinstance(value, tuple | list) else (value,)) if isinstance(x, ClosedJaxpr)]
    return found


def _place(eqn: Eqn) -> tuple[str, int, str] | None:
    return None if eqn.source is None else (eqn.source.file, eqn.source.line, eqn.source.function)


def _own_sites(eqn: Eqn, errors: frozenset[str]) -> list[Site]:
    """The checks of an equation without a program inside."""
    name, place = eqn.primitive.name, _place(eqn)
    if name == "check":
        avals = tuple(a.aval for a in eqn.invars[1:])
        words, structure = eqn.params["message"], eqn.params["structure"]
        return [Site("user", words, structure, avals, place)] if "user" in errors else []
    sites = []
    if "div" in errors and name == "div":
        sites.append(Site("div", "division by zero", _NOTHING, (), place))
    if "index" in errors and (name in _INDEXING or name in _SLICING):
        shape = eqn.invars[0].aval.shape
        structure = tree.structure(((), {"axis": 0, "index": 0, "size": 0}))
        words = f"out-of-bounds indexing for array of shape {shape}: "
        words += "index {index} is out of bounds for axis {axis} with size {size}."
        sites.append(Site("index", words, structure, (Aval((), np.dtype(np.int32)),) * 3, place))
    if "nan" in errors and name not in _MOVING and any(dtypes.is_inexact(v.aval.dtype) for v in eqn.outvars):
        sites.append(Site("nan", f"nan generated by primitive: {name}.", _NOTHING, (), place))
    return sites


def sites_in(closed: ClosedJaxpr, errors: frozenset[str]) -> tuple[Site, ...]:
    """The checks of a program in order, those of the programs inside it too."""
    key = ("checks", errors)
    if key not in closed.memo:
        found: list[Site] = []
        for eqn in closed.eqns:
            inner = programs_of(eqn)
            for program in inner:
                found += sites_in(program, errors)
            if not inner:
                found += _own_sites(eqn, errors)
        closed.memo[key] = tuple(found)
    return closed.memo[key]


# -- the checked program ----------------------------------------------------------------------------------------------
class _Run:
    """A program on its way, with the number of the first check that failed and the values it tells of."""

    def __init__(self, errors: frozenset[str], code: Any, payload: list[list[Any]]) -> None:
        self.errors, self.code, self.payload = errors, code, payload
        self.at = 0

    def fail(self, failing: Any, values: Sequence[Any] = ()) -> None:
        """The next check: note it where it fails and nothing failed before."""
        hit = failing & (self.code == 0)
        self.code = pnp.where(hit, np.int32(self.at + 1), self.code)
        self.payload[self.at] = [
            pnp.where(hit, new, old).astype(old.dtype)
            for new, old in zip(values, self.payload[self.at], strict=True)
        ]  # fmt: skip
        self.at += 1

    def results(self, outs: Sequence[Any]) -> list[Any]:
        """The number, the values, and what the program gave."""
        return [self.code, *(x for values in self.payload for x in values), *outs]

    def program(self, closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
        values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        values.update(zip(closed.jaxpr.invars, args, strict=True))
        for eqn in closed.eqns:
            operands = [a.val if isinstance(a, Literal) else values[a] for a in eqn.invars]
            outs = self.equation(eqn, operands)
            values.update(zip(eqn.outvars, outs, strict=True))
        return [a.val if isinstance(a, Literal) else values[a] for a in closed.jaxpr.outvars]

    def equation(self, eqn: Eqn, operands: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        if name == "check":
            if "user" in self.errors:
                self.fail(pnp.logical_not(operands[0]), operands[1:])
            return []
        inner = programs_of(eqn)
        count = sum(len(sites_in(p, self.errors)) for p in inner)
        if count:
            rule = _NESTED.get(name, _Run.inline if len(inner) == 1 else None)
            if rule is None:
                raise ArgumentError(wrong=f"checkify cannot look into {name}", fix="Keep checks out of its function")
            return rule(self, eqn, operands, count)
        out = state.trace.process(eqn.primitive, tuple(operands), eqn.params)
        outs = list(out) if eqn.primitive.multiple_results else [out]
        if not inner and self.errors != user_checks:
            self.automatic(eqn, operands, outs)
        return outs

    def automatic(self, eqn: Eqn, operands: Sequence[Any], outs: Sequence[Any]) -> None:
        """The checks that the program did not ask for, in the order of `_own_sites`."""
        name = eqn.primitive.name
        if "div" in self.errors and name == "div":
            self.fail(pnp.any(pnp.asarray(operands[1]) == 0))
        if "index" in self.errors and (name in _INDEXING or name in _SLICING):
            self.fail(*_out_of_bounds(eqn, operands))
        moving = [x for x in outs if dtypes.is_inexact(aval_of(x).dtype)]
        if "nan" in self.errors and name not in _MOVING and moving:
            self.fail(functools.reduce(pnp.logical_or, [pnp.any(pnp.isnan(x)) for x in moving]))

    # -- programs inside ----------------------------------------------------------------------------------------------
    def _open(self, count: int) -> tuple[Any, list[Any], list[int]]:
        """``(code, values, lengths)`` for a program with ``count`` checks: its own numbers start at 1, and a check that
        failed before is -1 in there."""
        mine = self.payload[self.at : self.at + count]
        code = pnp.where(self.code == 0, np.int32(0), np.int32(-1))
        return code, [x for values in mine for x in values], [len(values) for values in mine]

    def _close(self, code: Any, flat: Sequence[Any], lengths: Sequence[int]) -> None:
        given = iter(flat)
        first = self.at
        for n in lengths:
            self.payload[self.at] = [next(given) for _ in range(n)]
            self.at += 1
        self.code = pnp.where(code > 0, code + np.int32(first), self.code)

    def inline(self, eqn: Eqn, operands: list[Any], count: int) -> list[Any]:
        """A program run once, in place of its equation: a custom rule of it does not outlive the checks."""
        code, flat, lengths = self._open(count)
        (closed,) = programs_of(eqn)
        inner = _Run(self.errors, code, _grouped(flat, lengths))
        outs = inner.program(closed, operands)
        self._close(inner.code, [x for values in inner.payload for x in values], lengths)
        return outs

    def call(self, eqn: Eqn, operands: list[Any], count: int) -> list[Any]:
        """jit and checkpoint: the checked program, called the same way."""
        code, flat, lengths = self._open(count)
        checked = _checked(eqn.params["jaxpr"], self.errors, flat, lengths)
        n = 1 + len(flat)
        params = {**eqn.params, "jaxpr": checked}
        if "donated_invars" in params:
            params["donated_invars"] = (False,) * n + tuple(params["donated_invars"])
        outs = eqn.primitive.bind(code, *flat, *operands, **params)
        self._close(outs[0], outs[1:n], lengths)
        return list(outs[n:])

    def cond(self, eqn: Eqn, operands: list[Any], count: int) -> list[Any]:
        """Branches: each passes the values of the others' checks on."""
        code, flat, lengths = self._open(count)
        branches, begin = [], 0
        for branch in eqn.params["branches"]:
            own = len(sites_in(branch, self.errors))
            branches.append(_checked(branch, self.errors, flat, lengths, begin))
            begin += own
        n = 1 + len(flat)
        outs = eqn.primitive.bind(
            operands[0], code, *flat, *operands[1:], **{**eqn.params, "branches": tuple(branches)}
        )
        self._close(outs[0], outs[1:n], lengths)
        return list(outs[n:])

    def scan(self, eqn: Eqn, operands: list[Any], count: int) -> list[Any]:
        code, flat, lengths = self._open(count)
        p, n = eqn.params, 1 + len(flat)
        consts, rest = operands[: p["num_consts"]], operands[p["num_consts"] :]
        closed, k = p["jaxpr"], p["num_consts"]

        def turn(*args: Any) -> list[Any]:
            consts, code, flat, rest = args[:k], args[k], args[k + 1 : k + n], args[k + n :]
            run = _Run(self.errors, code, _grouped(flat, lengths))
            return run.results(run.program(closed, [*consts, *rest]))

        avals = closed.in_avals
        carried = [aval_of(x).strip_weak_type() for x in (code, *flat)]
        body = stage_closed(turn, [*avals[:k], *carried, *avals[k:]], closed.jaxpr.name)
        params = {**p, "jaxpr": body, "num_carry": p["num_carry"] + n}
        outs = eqn.primitive.bind(*consts, code, *flat, *rest, **params)
        self._close(outs[0], outs[1:n], lengths)
        return list(outs[n:])

    def loop(self, eqn: Eqn, operands: list[Any], count: int) -> list[Any]:
        """while: the condition is computed at the end of each turn, where its checks can be noted."""
        code, flat, lengths = self._open(count)
        p = eqn.params
        cond, body = p["cond_jaxpr"], p["body_jaxpr"]
        i, j = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
        n, of_cond = 2 + len(flat), len(sites_in(cond, self.errors))
        order = [key for key, v in p.items() if isinstance(v, ClosedJaxpr)]
        cond_at, body_at = (0, of_cond) if order[0] == "cond_jaxpr" else (len(sites_in(body, self.errors)), 0)

        def ask(run: _Run, carry: Sequence[Any], consts: Sequence[Any]) -> Any:
            run.at = cond_at
            return run.program(cond, [*consts[:i], *carry])[0]

        def turn(*args: Any) -> list[Any]:
            consts, code, flat, carry = args[:j], args[j + 1], args[j + 2 : j + n], args[j + n :]
            run = _Run(self.errors, code, _grouped(flat, lengths))
            run.at = body_at
            carry = run.program(body, [*consts[i:], *carry])
            again = ask(run, carry, consts)
            return [again, *run.results(carry)]

        consts, carry = operands[:j], operands[j:]
        start = _Run(self.errors, code, _grouped(flat, lengths))
        again = ask(start, carry, consts)
        first = [again, *start.results(carry)]
        given = [aval_of(x).strip_weak_type() for x in first[:n]] + body.out_avals
        of_consts = [*cond.in_avals[:i], *body.in_avals[: j - i]]
        checked = stage_closed(turn, [*of_consts, *given], body.jaxpr.name)
        proceed = stage_closed(lambda again, *_: [again], given, cond.jaxpr.name)
        outs = eqn.primitive.bind(
            *consts, *first, cond_jaxpr=proceed, body_jaxpr=checked, cond_nconsts=0, body_nconsts=j
        )  # fmt: skip
        self._close(outs[1], outs[2:n], lengths)
        return list(outs[n:])


_NESTED: dict[str, Any] = {
    "jit": _Run.call,
    "checkpoint": _Run.call,
    "cond": _Run.cond,
    "scan": _Run.scan,
    "while": _Run.loop,
}


def _grouped(flat: Sequence[Any], lengths: Sequence[int]) -> list[list[Any]]:
    given = iter(flat)
    return [[next(given) for _ in range(n)] for n in lengths]


def _checked(
    closed: ClosedJaxpr, errors: frozenset[str], flat: Sequence[Any], lengths: Sequence[int], begin: int = 0
) -> ClosedJaxpr:
    """The program from (code, values of checks, operands) to (code, values of checks, results).

    ``begin`` is the place of its first check among those it passes on.
    """
    avals = tuple(aval_of(x).strip_weak_type() for x in flat)
    key = ("checked", errors, avals, tuple(lengths), begin)
    if key not in closed.memo:
        n = 1 + len(avals)

        def run(*args: Any) -> list[Any]:
            inner = _Run(errors, args[0], _grouped(args[1:n], lengths))
            inner.at = begin
            return inner.results(inner.program(closed, args[n:]))

        closed.memo[key] = stage_closed(run, [_CODE, *avals, *closed.in_avals], closed.jaxpr.name)
    return closed.memo[key]


def _out_of_bounds(eqn: Eqn, operands: Sequence[Any]) -> tuple[Any, list[Any]]:
    """``(failing, [axis, index, size])``: whether an index reaches outside, and the first that does."""
    name, shape = eqn.primitive.name, eqn.invars[0].aval.shape
    if name in _SLICING:
        first = _SLICING[name]
        axes: Sequence[int] = range(len(shape))
        sizes = eqn.params["slice_sizes"] if name == "dynamic_slice" else eqn.invars[1].aval.shape
        vectors = pnp.stack([pnp.asarray(x).astype(np.int32) for x in operands[first:]]) if shape else np.zeros(0)
    else:
        numbers, vectors = eqn.params["dimension_numbers"], pnp.asarray(operands[1]).astype(np.int32)
        if name == "gather":
            axes, sizes = numbers.start_index_map, eqn.params["slice_sizes"]
        else:
            axes, sizes = numbers.scatter_dims_to_operand_dims, _window(shape, eqn.invars[2].aval.shape, numbers)
    if not vectors.size:
        return pnp.asarray(False), [pnp.zeros((), np.int32)] * 3
    limits = np.array([shape[a] - sizes[a] for a in axes], np.int32)
    vectors = vectors.reshape(-1, len(axes))
    outside = ((vectors < 0) | (vectors > limits)).ravel()
    place = pnp.argmax(outside)
    axis = pnp.asarray(np.array(axes, np.int32))[place % len(axes)]
    size = pnp.asarray(np.array([shape[a] for a in axes], np.int32))[place % len(axes)]
    return outside.any(), [axis, vectors.ravel()[place], size]


def _window(shape: Sequence[int], update: Sequence[int], numbers: Any) -> list[int]:
    """How many elements a scattered window has along each axis of the operand."""
    lengths = iter(update[d] for d in numbers.update_window_dims)
    apart = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    return [1 if d in apart else next(lengths) for d in range(len(shape))]


# -- the transformation -----------------------------------------------------------------------------------------------
def checkify(f: Callable[..., Any], errors: frozenset[str] = user_checks) -> Callable[..., tuple[Error, Any]]:
    """A function that returns its error beside its result, instead of failing.

    Parameters
    ----------
    f : callable
    errors : set of kinds of checks
        ``user_checks``: calls of ``check``. ``nan_checks``, ``div_checks``, ``index_checks``: made for every operation
        that computes, divides, or indexes. Sets are joined with ``|``; ``float_checks``, ``automatic_checks`` and
        ``all_checks`` are such unions.

    Returns
    -------
    callable
        ``(error, result)``. It may be jitted, mapped and differentiated. Where a check failed, the result is what came
        out all the same.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> from portax.experimental import checkify
    >>> f = checkify.checkify(lambda x, i: pnp.log(x)[i], errors=checkify.all_checks)
    >>> error, _ = portax.jit(f)(pnp.ones(3), 5)
    >>> print(error.get())
    out-of-bounds indexing for array of shape (3,): index 5 is out of bounds for axis 0 with size 3.
    """
    wanted = frozenset(errors)
    if not wanted <= all_checks:
        raise ArgumentError(
            wrong=f"checkify knows no checks called {', '.join(sorted(map(repr, wanted - all_checks)))}",
            fix="Give a union of user_checks, nan_checks, div_checks and index_checks",
        )

    @functools.wraps(f)
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        leaves, structure = tree.flatten((args, kwargs))
        out_tree: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            args, kwargs = tree.unflatten(structure, xs)
            outs, out = tree.flatten(f(*args, **kwargs))
            out_tree.append(out)
            return [pnp.asarray(x) for x in outs]

        closed, consts = stage_open(flat, [aval_of(x) for x in leaves], name_of(f))
        sites = sites_in(closed, wanted)
        nothing = [[pnp.zeros(a.shape, a.dtype) for a in site.avals] for site in sites]
        run = _Run(wanted, pnp.zeros((), np.int32), nothing)
        outs = run.program(closed, [*consts, *leaves])
        return Error(run.code, run.payload, sites), tree.unflatten(out_tree[0], outs)

    return checked
