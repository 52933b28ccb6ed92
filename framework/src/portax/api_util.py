"""What libraries use to put transformations together by hand: trees outside, flat functions inside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.extend.linear_util import Store, WrappedFun


class DebugInfo(NamedTuple):
    """Where a function that is traced comes from.

    Attributes
    ----------
    traced_for : str, the transformation
    func_src_info : str, its name and place
    arg_names : tuple of str, one a leaf of its arguments
    result_paths : callable, or tuple of str, or None
    """

    traced_for: str
    func_src_info: str
    arg_names: tuple[str, ...] | None
    result_paths: Any = None

    @property
    def func_name(self) -> str:
        """The function's name."""
        return self.func_src_info.split(" ")[0]


def debug_info(
    traced_for: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *,
    static_argnums: Sequence[int] = (), static_argnames: Sequence[str] = (), result_paths_thunk: Any = None,
    sourceinfo: str | None = None, signature: inspect.Signature | None = None,
) -> DebugInfo:  # fmt: skip
    """Where a function comes from, and what the leaves of its arguments are called.

    Parameters
    ----------
    traced_for : str
        What traces it, such as ``"jit"``.
    fun : callable
    args, kwargs : sequence and dict of trees
    static_argnums, static_argnames : sequences, optional
        Which of them are no leaves of the program.
    result_paths_thunk : callable, optional
        Gives the names of the results, once it was traced.
    sourceinfo : str, optional
        The function's name and place, where they are known better.
    signature : inspect.Signature, optional

    Examples
    --------
    >>> from portax import api_util
    >>> api_util.debug_info("jit", lambda x, y: x, (1, {"k": 2}), {}).arg_names
    ('x', "y['k']")
    """
    static = {i % len(args) for i in static_argnums} if args else set()
    names: list[str] = []
    called = _parameter_names(fun, signature, len(args))
    for i, x in enumerate(args):
        if i not in static:
            names += [called[i] + path for path in tree.paths(x)]
    for key, x in sorted(kwargs.items()):
        if key not in static_argnames:
            names += [key + path for path in tree.paths(x)]
    made = sourceinfo
    if made is None:
        code = getattr(inspect.unwrap(fun), "__code__", None)
        place = "" if code is None else f" at {code.co_filename}:{code.co_firstlineno}"
        made = getattr(fun, "__name__", type(fun).__name__) + place
    return DebugInfo(traced_for, made, tuple(names), result_paths_thunk)


def _parameter_names(fun: Callable[..., Any], signature: inspect.Signature | None, count: int) -> list[str]:
    try:
        parameters = list((signature or inspect.signature(fun)).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(count - len(names))]
    return [*names, *[f"args[{i}]" for i in range(len(names), count)]]


def flatten_fun(
    fun: WrappedFun, *gen_static_args: Any, use_eq_store: bool = False, unk_names: bool = False
) -> tuple[WrappedFun, Callable[[], Any]]:
    """A function of arguments and keyword arguments as one of their leaves: ``(flat, out_tree)``.

    Parameters
    ----------
    fun : WrappedFun
    *gen_static_args
        One: the structure of ``(args, kwargs)``.
    use_eq_store : bool
        It may be called again, if it gives the same structure.
    unk_names : bool
        Kept for programs that give it.

    Returns
    -------
    tuple
        The flat function, which gives a list, and what gives the structure of its result once it was called.

    Examples
    --------
    >>> from portax import api_util, tree
    >>> from portax.extend import linear_util
    >>> leaves, structure = tree.flatten(((1, 2), {"z": 3}))
    >>> f, out_tree = api_util.flatten_fun(linear_util.wrap_init(lambda x, y, z: {"sum": x + y + z}), structure)
    >>> f.call_wrapped(*leaves), out_tree()
    ([6], PyTreeDef({'sum': *}))
    """
    [structure] = gen_static_args
    return _flattened(fun, structure, use_eq_store, keywords=True)


def flatten_fun_nokwargs(
    fun: WrappedFun, *gen_static_args: Any, use_eq_store: bool = False, unk_names: bool = False
) -> tuple[WrappedFun, Callable[[], Any]]:
    """As ``flatten_fun``, for a function without keyword arguments: the structure is that of ``args``.

    Examples
    --------
    >>> import portax
    >>> from portax import api_util
    >>> from portax.extend import linear_util
    >>> leaves, structure = portax.tree.flatten(((1, 2),))
    >>> f, out_tree = api_util.flatten_fun_nokwargs(linear_util.wrap_init(lambda pair: {"sum": sum(pair)}), structure)
    >>> list(f.call_wrapped(*leaves))
    [3]
    >>> out_tree()
    PyTreeDef({'sum': *})
    """
    [structure] = gen_static_args
    return _flattened(fun, structure, use_eq_store, keywords=False)


def _flattened(fun: WrappedFun, structure: Any, again: bool, keywords: bool) -> tuple[WrappedFun, Callable[[], Any]]:
    store = Store()

    def flat(*leaves: Any) -> Generator[Any, Any, None]:
        given = tree.unflatten(structure, leaves)
        args, kwargs = given if keywords else (given, {})
        outs, out_tree = tree.flatten((yield args, kwargs))
        store.put(out_tree, again)
        yield outs

    return fun.wrap(flat), store


def argnums_partial(
    f: WrappedFun, dyn_argnums: int | Sequence[int], args: Sequence[Any], require_static_args_hashable: bool = True
) -> tuple[WrappedFun, tuple[Any, ...]]:
    """A function of some of its arguments, the others fixed: ``(partial, dynamic_args)``.

    Parameters
    ----------
    f : WrappedFun
    dyn_argnums : int or sequence of int
        Which arguments stay arguments.
    args : sequence
    require_static_args_hashable : bool

    Raises
    ------
    ArgumentError
        There is no such argument, or a fixed one cannot be hashed.

    Examples
    --------
    >>> import portax
    >>> from portax import api_util
    >>> from portax.extend import linear_util
    >>> f, dynamic = api_util.argnums_partial(linear_util.wrap_init(lambda x, n: x * n), 0, (3.0, 2))
    >>> f.call_wrapped(*dynamic)
    6.0
    """
    numbers = [dyn_argnums] if isinstance(dyn_argnums, int) else list(dyn_argnums)
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise errors.ArgumentError(
                wrong=f"argument {i} of {f.__name__} was asked for, and it has {len(args)}",
                fix=f"Give {-len(args)} <= dyn_argnums < {len(args)}",
            )
    dynamic = sorted({i % len(args) for i in numbers})
    for i, x in enumerate(args):
        if require_static_args_hashable and i not in dynamic and not _hashable(x):
            raise errors.ArgumentError(
                wrong=f"argument {i} of {f.__name__} is fixed, and {x!r} of type {type(x).__name__} cannot be hashed",
                fix="Pass a tuple instead of a list, or leave the argument dynamic",
            )

    def partial(*given: Any, **kwargs: Any) -> Generator[Any, Any, None]:
        whole = list(args)
        for i, x in zip(dynamic, given, strict=True):
            whole[i] = x
        yield (yield tuple(whole), kwargs)

    return f.wrap(partial), tuple(args[i] for i in dynamic)


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


def donation_vector(
    donate_argnums: Sequence[int], donate_argnames: Sequence[str], in_tree: Any, kws: bool = True
) -> tuple[bool, ...]:
    """For each leaf of the arguments, whether its memory is given away.

    Parameters
    ----------
    donate_argnums : sequence of int
    donate_argnames : sequence of str
    in_tree : PyTreeDef
        Of ``(args, kwargs)``, or of ``args`` where not ``kws``.
    kws : bool

    Examples
    --------
    >>> from portax import api_util, tree
    >>> api_util.donation_vector((1,), ("k",), tree.structure(((1, (2, 3)), {"j": 4, "k": 5})))
    (False, True, True, False, True)
    """
    positional, named = in_tree.children() if kws else (in_tree, None)
    found: list[bool] = []
    for i, child in enumerate(positional.children()):
        found += [i in donate_argnums] * child.num_leaves
    if named is not None:
        for key, child in zip(named.node_data()[1], named.children(), strict=True):
            found += [key in donate_argnames] * child.num_leaves
    return tuple(found)


def rebase_donate_argnums(donate_argnums: Sequence[int], static_argnums: Sequence[int]) -> tuple[int, ...]:
    """The numbers of donated arguments among those that are left when the static ones are taken out.

    Examples
    --------
    >>> from portax import api_util
    >>> api_util.rebase_donate_argnums((0, 3, 4), (1, 2))
    (0, 1, 2)
    """
    both = sorted(set(donate_argnums) & set(static_argnums))
    if both:
        raise errors.ArgumentError(
            wrong=f"argument {both[0]} was to be static and to be donated, and what is static has no memory",
            fix="Leave it out of one of them",
        )
    return tuple(i - sum(j < i for j in static_argnums) for i in sorted(donate_argnums))


def flatten_axes(name: str, treedef: Any, axis_tree: Any, *, kws: bool = False, tupled_args: bool = False) -> list[Any]:
    """For each leaf of a tree the axis that a tree which may stop early says for it; None is an axis too.

    Parameters
    ----------
    name : str
        What the errors call it, such as ``"in_axes"``.
    treedef : PyTreeDef
    axis_tree : tree of int or None
    kws, tupled_args : bool
        Kept for programs that give them.

    Examples
    --------
    >>> from portax import api_util, tree
    >>> api_util.flatten_axes("in_axes", tree.structure((1, (2, 3), {"a": 4})), (0, None, 1))
    [0, None, None, 1]
    """
    del kws, tupled_args
    return tree.prefix_to_leaves(axis_tree, treedef, what=name, is_leaf=lambda x: x is None)


def safe_map(f: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
    """``f`` of the elements of sequences of one length, as a list.

    Examples
    --------
    >>> from portax import api_util
    >>> api_util.safe_map(max, [1, 5], [4, 2])
    [4, 5]
    """
    given = [list(a) for a in args]
    lengths = [len(a) for a in given]
    if len(set(lengths)) > 1:
        raise errors.ArgumentError(
            wrong=f"safe_map was given sequences of {', '.join(map(str, lengths))} elements",
            fix="Give sequences of one length",
        )
    return [f(*row) for row in zip(*given, strict=True)]


def shaped_abstractify(x: Any) -> Aval:
    """The aval of an array, of a number, or of anything with a shape and a dtype.

    Examples
    --------
    >>> from portax import api_util
    >>> api_util.shaped_abstractify(1.0)
    Aval(float32[], weak_type=True)
    """
    return aval_of(x)
