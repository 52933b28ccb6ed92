"""What a program takes and gives, read in its text, or asked of XLA where the text does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from portax.backend import ShapeDtype, Tiling
from portax_pjrt.jaxlib.dtypes import STABLEHLO_DTYPES, XLA_ELEMENTS
from portax_pjrt.jaxlib.shardings import tiling_of
from portax_pjrt.jaxlib.versions import xc

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_QUOTED_OR_PARENTHESIS = re.compile(_QUOTED.pattern + r"|[()]")
_BRACED = re.compile(r"\{[^{}]*\}")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)((?:complex<f(?:32|64)>)|\w+)>")
_ARGUMENT = re.compile(r"%\w+\s*:")


def results_of(program: str, loaded: Any) -> tuple[ShapeDtype, ...]:
    """Shapes and dtypes of the results."""
    try:
        return _signature_results(program)
    except (ValueError, KeyError, IndexError):
        shape = xc.XlaComputation(loaded.hlo_modules()[0].as_serialized_hlo_module_proto()).program_shape()
        result = shape.result_shape()
        shapes = result.tuple_shapes() if result.is_tuple() else [result]
        return tuple((tuple(s.dimensions()), STABLEHLO_DTYPES[XLA_ELEMENTS[_element_name(s)]]) for s in shapes)


def _element_name(shape: Any) -> str:
    return str(shape).partition("[")[0]


def _signature_results(program: str) -> tuple[ShapeDtype, ...]:
    end = _closing(program, program.index("@main(") + len("@main"))
    arrow = re.compile(r"\s*->\s*").match(program, end)
    if arrow is None:
        return ()
    start = arrow.end()
    stop = _closing(program, start) if program[start] == "(" else program.index("{", start)
    plain = _QUOTED.sub("", program[start:stop])
    while (shorter := _BRACED.sub("", plain)) != plain:
        plain = shorter
    return tuple(
        (tuple(int(d) for d in dims.split("x") if d), STABLEHLO_DTYPES[element])
        for dims, element in _TENSOR.findall(plain)
    )


def donated_by(program: str) -> tuple[int, ...]:
    """The arguments that the program's text gives away. XLA obeys the text, so the text is what counts."""
    if "tf.aliasing_output" not in program and "jax.buffer_donor" not in program:
        return ()
    start = program.index("@main(") + len("@main")
    arguments = _ARGUMENT.split(_QUOTED.sub("", program[start : _closing(program, start)]))[1:]
    return tuple(i for i, text in enumerate(arguments) if "tf.aliasing_output" in text or "jax.buffer_donor" in text)


def _closing(text: str, start: int) -> int:
    """Where the parenthesis that opens at ``start`` is closed. Quoted strings count for nothing."""
    depth = 0
    for match in _QUOTED_OR_PARENTHESIS.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise ValueError("unbalanced")


def tilings_of(loaded: Any, results: Sequence[ShapeDtype], count: int) -> tuple[Tiling, ...]:
    """How the results of a program on ``count`` devices are divided."""
    protos = loaded.get_output_shardings()
    if protos is None or not results:  # nothing is divided; of no results, XLA says how it divides their empty tuple
        return tuple(Tiling((1,) * len(shape), tuple(range(count))) for shape, _ in results)
    return tuple(tiling_of(p, len(shape), count) for p, (shape, _) in zip(protos, results, strict=True))
