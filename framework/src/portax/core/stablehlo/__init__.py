"""Programs as StableHLO text.

`Module` makes the text of a program, `Builder` the ops of one of its functions, `Value` is what an op gives. A
primitive's ``stablehlo(self, b, *values, **params)`` gets a builder and the values of its operands, and gives a value,
or a sequence of them::

    module = Module("axpy")
    text = module.main([x, y], lambda b, x, y: b.binary("add", b.binary("multiply", x, b.full((), 2, x.dtype)), y))

``x`` and ``y`` stand for values (``.name .aval .type .shape .dtype .ndim``), ``number`` for a Python or NumPy number,
``body`` for a callable ``body(b, *values)`` that gives a value or a sequence of them. In the bodies of loops and
branches any value in scope may be used, in all others only the arguments.

Writing constants
    ``constant(array_or_number, dtype=None)``, ``full(shape, number, dtype)``, ``scalar(number_or_value, dtype)``

Elementwise (rank-0 operands are broadcast to the shape of the others)
    ``unary(name, x)``, ``binary(name, x, y)``, ``chlo(name, *xs)``, ``compare(x, y, direction, total_order=False)``,
    ``select(which, on_true, on_false)``, ``clamp(low, x, high)``, ``convert(x, dtype)``, ``bitcast(x, shape, dtype)``,
    ``reduce_precision(x, exponent_bits, mantissa_bits)``, ``real(x)``, ``imag(x)``, ``complex(real, imag)``,
    ``same_shape(*xs)``, ``scalar_to(x, shape)``

Shape
    ``broadcast_in_dim(x, shape, dims)``, ``reshape(x, shape)``, ``transpose(x, permutation)``, ``reverse(x, axes)``,
    ``slice(x, starts, limits, strides=None)``, ``pad(x, value, config)`` with (low, high, interior) for each axis,
    ``concatenate(xs, axis)``, ``iota(shape, axis, dtype)``, ``dynamic_slice(x, indices, sizes)``,
    ``dynamic_update_slice(x, update, indices)``, ``optimization_barrier(*xs)``,
    ``gather(x, indices, dimension_numbers, slice_sizes, *, index_vector_dim=None, indices_are_sorted=False)``

Programs as parameters (``body`` may be the name of a binary op where it is a reducer)
    ``reduce(operands, inits, axes, body)``,
    ``reduce_window(x, body, init, window, strides=None, padding=None, base_dilation=None, window_dilation=None)``,
    ``select_and_scatter(x, source, init, select, scatter, window, strides=None, padding=None)``,
    ``scatter(x, indices, updates, dimension_numbers, body=None, *, index_vector_dim=None, indices_are_sorted=False,
    unique_indices=False)``, ``sort(operands, axis, stable=True, comparator=None, keys=1)``, ``lexicographic(values)``,
    ``top_k(x, k)``, ``while_loop(inits, cond, body)``, ``case(index, branches, operands=())``,
    ``if_(which, on_true, on_false, operands=())``, ``map_scalars(xs, body)``

Linear algebra and others
    ``dot_general(x, y, dimension_numbers, precision=None, preferred=None)``, ``convolution(x, kernel,
    dimension_numbers, *, strides, padding, x_dilation, kernel_dilation, reverse, feature_groups, batch_groups,
    precision, preferred)``, ``fft(x, kind, lengths)``, ``cholesky(x, lower=True)``, ``triangular_solve(a, y, *,
    left_side=True, lower=True, transpose=None, unit_diagonal=False)``, ``rng_bit_generator(state, shape, dtype,
    algorithm="DEFAULT")``

Calls
    ``call(key, name, operands, result_avals, body)``, ``custom_call(target, operands, result_avals, *,
    backend_config=None, api_version=4, has_side_effect=False, operand_layouts=None, result_layouts=None, aliases=None,
    attributes="")``, ``claims(prefix)`` whether the device has such custom calls, ``create_token()``,
    ``after_all(*tokens)``

Any op at all
    ``generic(name, operands, result_avals, attributes="", regions=())``, ``region(avals, body) -> (text, values)``,
    ``emit(aval, text)``, ``emit_many(avals, text)``

A module: ``Module(name, attributes=None, preamble=(), custom_calls=()).main(avals, body, *, donate=None,
argument_attributes=None, result_attributes=None) -> str``, ``donate`` being ``{argument: result or None}``.
"""

from portax.core.stablehlo.emitter import Body, Emitter
from portax.core.stablehlo.module import Builder, Module
from portax.core.stablehlo.types import TOKEN, Value, element_type, type_of

__all__ = ["TOKEN", "Body", "Builder", "Emitter", "Module", "Value", "element_type", "type_of"]
