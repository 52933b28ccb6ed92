"""What vjp returns, and where its gradients go: into results, into references, or nowhere.

A gradient that is added to a reference need not exist beside it: in a loop over batches, or over layers that share
weights, one array of sums is kept instead of one for each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree


class Mark:
    """One of the words that say what becomes of a gradient; a tree without leaves."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class GradValue(Mark):
    """Asks for a gradient as a result, which is what happens anyway where nothing is said.

    Examples
    --------
    >>> import portax
    >>> from portax import ad
    >>> _, f_vjp = portax.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> f_vjp.with_refs(ad.GradValue(), ad.DontWant())(1.0)
    (Array(3., dtype=float32, weak_type=True), DidntWant())
    """

    __slots__ = ()


class DontWant(Mark):
    """Says that a gradient is not wanted: see `GradValue` for an example."""

    __slots__ = ()


class DidntWant(Mark):
    """Stands in the results for a gradient that was not wanted."""

    __slots__ = ()


class GradRef(Mark):
    """Stands in the results for a gradient that was added to a reference."""

    __slots__ = ()


def _plain(kind: type[Mark]) -> None:
    tree.register_pytree_node(kind, lambda _: ((), None), lambda *_: kind())


for _kind in (GradValue, DontWant, DidntWant, GradRef):
    _plain(_kind)


class VJP(tree.Partial):
    """A function that sends a cotangent of a value back to the arguments it was computed from; `vjp` makes it."""

    def with_refs(self, *places: Any) -> Callable[..., Any]:
        """The same, with a say in where the gradients go.

        Parameters
        ----------
        *places : one tree for each argument, with one leaf for each of its leaves
            A reference, to which the gradient is added; ``ad.DontWant()``; or ``ad.GradValue()`` or an array for the
            gradient itself.

        Returns
        -------
        callable
            Its results have ``ad.GradRef()`` and ``ad.DidntWant()`` where there is no gradient to return.

        Raises
        ------
        ArgumentError
            ``places`` is not such a tree.

        Examples
        --------
        >>> import portax
        >>> total = portax.new_ref(0.0)
        >>> for x in (1.0, 2.0):
        ...     _, f_vjp = portax.vjp(lambda x: x * x, x)
        ...     _ = f_vjp.with_refs(total)(1.0)
        >>> float(total[...])
        6.0
        """
        derivative = self.func.__self__
        if not places:
            return self
        try:
            found = derivative.in_tree.flatten_up_to(tuple(places))
        except errors.TreeError:
            raise errors.ArgumentError(
                wrong=f"with_refs of the vjp of {derivative.name} was given {places!r}, and its arguments are "
                f"{derivative.in_tree}",
                fix="Give a tree like each argument, with a reference, DontWant() or GradValue() for each leaf",
            ) from None
        for place in found:
            if place is None or isinstance(place, DidntWant | GradRef):
                raise errors.ArgumentError(
                    wrong=f"with_refs of the vjp of {derivative.name} was given {place!r} as a place for a gradient",
                    fix="Give a reference, DontWant() or GradValue()",
                )

        def pull(ct: Any) -> Any:
            grads = tree.leaves(self(ct))
            return tree.unflatten(derivative.in_tree, _sent(grads, found))

        return pull


def _sent(grads: Sequence[Any], places: Sequence[Any]) -> list[Any]:
    results: list[Any] = []
    for grad, place in zip(grads, places, strict=True):
        if isinstance(place, DontWant):
            results.append(DidntWant())
        elif hasattr(place, "addupdate"):
            place.addupdate(grad)
            results.append(GradRef())
        else:
            results.append(grad)
    return results


tree.register_pytree_node(
    VJP, lambda p: ((p.args, p.keywords), p.func), lambda func, children: VJP(func, *children[0], **children[1])
)
