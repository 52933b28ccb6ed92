"""What a driver of the kernel-language kind writes beside its dialect: how its library keeps memory and runs programs.

Everything is asked for in order on one queue per device: a launch may return before it has run, and whatever is asked
for later sees what it wrote. Memory is plain bytes; the toolkit keeps freed blocks for the next array of their size.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from portax.backend.kernels.dialect import Dialect

if TYPE_CHECKING:
    from portax.core.aval import Aval


class Routine(NamedTuple):
    """What a library does for one operation of a program.

    Attributes
    ----------
    library : str
        Its name, for people.
    call : callable
        ``call(blocks)``: the operands' blocks, then the result's. It asks for the work in the order of launches, and
        may return before it is done.
    """

    library: str
    call: Callable[[Sequence[Any]], None]


class Launcher(abc.ABC):
    """One device, as the toolkit uses it.

    Attributes
    ----------
    dialect : Dialect
        How its language is spelled.
    kind : str
        The product, as its maker calls it.
    limit : int
        The most bytes that one block of memory may have.
    edition : str
        Of the device's driver, where ``cache_key`` says nothing: what was found out by timing is forgotten with it.
    """

    dialect: Dialect
    kind: str = ""
    limit: int = 1 << 62
    edition: str = ""

    @abc.abstractmethod
    def allocate(self, size: int) -> Any:
        """A block of ``size`` bytes, at least 1. Raise ``OutOfDeviceMemory`` where there is no room."""

    @abc.abstractmethod
    def release(self, block: Any) -> None:
        """Give a block back to the system. Launches that were asked for before may still use it."""

    @abc.abstractmethod
    def write(self, block: Any, array: np.ndarray) -> None:
        """Copy a contiguous array to the start of a block. The array may change as soon as this returns."""

    @abc.abstractmethod
    def read(self, block: Any, array: np.ndarray) -> None:
        """Fill a contiguous array from the start of a block. Waits for all that was asked for before."""

    @abc.abstractmethod
    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        """Copy ``size`` bytes from block to block: from byte ``start`` of the one to byte ``at`` of the other."""

    def build(self, text: str) -> Any:
        """A program that can be launched. Raise ``CompileError`` with what the compiler said where it refuses.

        A driver writes this, or ``compile`` and ``load``, or all three where its library builds best in one go.
        """
        binary = self.compile(text)
        if binary is None:
            raise NotImplementedError(f"{type(self).__name__} has neither `build` nor `compile` and `load`")
        return self.load(binary)

    def compile(self, text: str) -> bytes | None:
        """A program as the compiler's bytes, to be kept for other processes. None: this device's compiler gives none.

        Raise ``CompileError`` with what the compiler said where it refuses.
        """
        return None

    def load(self, binary: bytes) -> Any:
        """A program that can be launched, of what ``compile`` gave. Raise where the device does not take it."""
        raise NotImplementedError(f"{type(self).__name__} compiles programs, and has no `load` for them")

    def cache_key(self) -> bytes:
        """All besides a program's text that decides what ``compile`` gives, and whether ``load`` takes it.

        The compiler and its version, its options, the device and its own driver's version. Asked for once, before the
        first program is built. Nothing, as long as a driver does not say it: then no program is kept on disk.
        """
        return b""

    @abc.abstractmethod
    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        """Run a stage of a program as ``items`` work-items on some blocks."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Return when all that was asked for is done. Raise what went wrong."""

    def library(self, name: str, avals: Sequence[Aval], params: Mapping[str, Any]) -> Routine | str | None:
        """A routine of the device's library for a primitive, which kernels would otherwise compute.

        Asked for once for each operation of a program that is made while ``config.reproducible`` is off: a library sums
        in an order of its own. At present ``dot_general`` is asked for, of sides that are worth it.

        Parameters
        ----------
        name : str
            ``"dot_general"``.
        avals : sequence of Aval
            The operands, as they lie in memory. Of a product, two stacks of matrices, of as many each.
        params : mapping
            The primitive's own. Of a product: ``dimension_numbers``, where axis 0 is that of the stacks and either of
            the others is summed; ``precision``; ``preferred_element_type``, the dtype of the result, a stack of
            matrices again, with a row for each of the left operand's.

        Returns
        -------
        Routine, or str, or None
            None where the driver has no library for such a primitive; why not this one, in words, where it has.
        """
        return None

    def idle(self) -> bool:
        """Whether ``wait`` would return at once."""
        self.wait()
        return True
