"""What functions refuse, and the words they refuse it with.

One line for each: what a user might write, the error, and how its first sentence begins. The refusals of primitives
stand with the primitives and are tried by the conformance suite; ``tests/architecture/test_errors.py`` finds errors
that nobody tries.
"""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, lax, random
from portax.core import treedef
from portax.core.primitive import registry
from portax.runtime import lowering


def with_jvp(rule):
    """The derivative of a function whose derivative rule is ``rule``."""
    f = portax.custom_jvp(lambda x: x)
    f.defjvp(rule)
    return portax.jvp(f, (1.0,), (1.0,))


def with_vjp(fwd, bwd=lambda r, ct: (ct,)):
    """The gradient of a function whose derivative rules are ``fwd`` and ``bwd``."""
    f = portax.custom_vjp(lambda x: x)
    f.defvjp(fwd, bwd)
    return portax.grad(f)(1.0)


def recompiled():
    """Call a function for a shape that is new to it, inside ``no_recompile``."""
    f = portax.jit(lambda x: x)
    f(pnp.ones(2))
    with portax.no_recompile():
        f(pnp.ones(3))


def gathered(**numbers):
    """Gather along batching axes."""
    numbers = {"offset_dims": (), "collapsed_slice_dims": (), "start_index_map": ()} | numbers
    return lax.gather(A, N[:2, None], lax.GatherDimensionNumbers(**numbers), (1, 1))


def scattered(updates, **numbers):
    """Scatter along batching axes."""
    numbers = {"update_window_dims": (), "inserted_window_dims": (), "scatter_dims_to_operand_dims": ()} | numbers
    return lax.scatter(A, N[:2, None], updates, lax.ScatterDimensionNumbers(**numbers))


A, V, S, N = pnp.arange(6.0).reshape(2, 3), pnp.arange(3.0), pnp.array(1.0), pnp.arange(3)
NAMES = {
    "portax": portax, "pnp": pnp, "np": np, "lax": lax, "random": random, "A": A, "V": V, "S": S, "N": N,
    "key": random.key(0), "with_jvp": with_jvp, "with_vjp": with_vjp, "recompiled": recompiled,
    "treedef": treedef, "lowering": lowering, "registry": registry, "gathered": gathered, "scattered": scattered,
    "BATCHED": {"operand_batching_dims": (0,), "start_indices_batching_dims": (0,)},
    "BATCHED_UPDATES": {"operand_batching_dims": (0,), "scatter_indices_batching_dims": (0,)},
}  # fmt: skip

REFUSED = [
    (
        "portax.value_and_grad(lambda x: x * x, has_aux=True)(2.0)",
        errors.ArgumentError,
        "<lambda> was differentiated with has_aux=True and returned JVPTracer, not a pair (value, aux)",
    ),
    ("portax.named_scope(3).__enter__()", errors.ArgumentError, "named_scope needs a name, got 3"),
    ("pnp.result_type()", errors.ArgumentError, "no operand was given to take a dtype from"),
    (
        "lax.cond(pnp.array([True, False]), lambda x: x, lambda x: x, 1.0)",
        errors.ArgumentError,
        "cond chooses by a single value, got bool[2]",
    ),
    ("lax.cond(True, lambda x: x, 3, 1.0)", errors.ArgumentError, "cond needs two functions, got"),
    (
        "lax.cond(True, lambda x: x, lambda x: x, 1.0, operand=2)",
        errors.ArgumentError,
        "cond was given operands by position and operand=",
    ),
    (
        "lax.fori_loop(np.int8(0), np.int16(3), lambda i, x: x, 1.0)",
        errors.DtypeError,
        "fori_loop was given bounds of different dtypes, lower: int8[] and upper: int16[]",
    ),
    (
        "lax.cond(True, lambda x: x, lambda x: (x, x), 1.0)",
        errors.ArgumentError,
        "the branches of cond return different things: <lambda> and <lambda> return PyTreeDef((*, *)) and PyTreeDef(*)",
    ),
    (
        "lax.cond(True, lambda x: x, lambda x: x.astype(int), 1.0)",
        errors.ArgumentError,
        "the branches of cond return different things: <lambda> and <lambda> return int32[] and float32[]",
    ),
    ("lax.switch(0, [], 1.0)", errors.ArgumentError, "switch was given no branches"),
    ("lax.switch(0, [3], 1.0)", errors.ArgumentError, "switch was given 3 as a branch"),
    (
        "portax.custom_jvp(lambda x: x)(1.0)",
        errors.ArgumentError,
        "<lambda> was called and has no derivative rule yet",
    ),
    (
        "portax.custom_vjp(lambda x: x)(1.0)",
        errors.ArgumentError,
        "<lambda> was called and has no derivative rules yet",
    ),
    (
        "lax.associative_scan(lambda a, b: a + b, (pnp.ones(2), pnp.ones(3)))",
        errors.ShapeError,
        "associative_scan needs one length of axis 0, got float32[2], float32[3]",
    ),
    ("lax.scan(lambda c, x: (c, x), 0.0, None)", errors.ArgumentError, "scan has no xs and no length"),
    (
        "lax.scan(lambda c, x: (c, x), 0.0, (pnp.ones(2), pnp.ones(3)))",
        errors.ArgumentError,
        "scan needs one length for all of xs, got float32[2], float32[3]",
    ),
    (
        "lax.scan(lambda c, x: (c, x), 0.0, pnp.ones(()))",
        errors.ArgumentError,
        "scan slices axis 0 of every array in xs, and one of them is float32[]",
    ),
    (
        "lax.scan(lambda c, x: (c.astype(int), x), 0.0, pnp.ones(2))",
        errors.ArgumentError,
        "scan: the carry of <lambda> is float32[] going in and int32[] coming out",
    ),
    (
        "lax.scan(lambda c, x: ((c, c), x), 0.0, pnp.ones(2))",
        errors.ArgumentError,
        "scan: the carry of <lambda> is PyTreeDef(*) going in and PyTreeDef((*, *)) coming out",
    ),
    ("portax.ShapeDtypeStruct((2,), None)", errors.ArgumentError, "ShapeDtypeStruct was given no dtype"),
    (
        'portax.jit(lambda x: x).lower(1.0).as_text("nonsense")',
        errors.ArgumentError,
        "a lowered program has no 'nonsense' text",
    ),
    (
        'portax.jit(lambda x: x).lower(1.0).compile({"a": 1})',
        errors.ArgumentError,
        "compile knows no options, got ['a']",
    ),
    (
        'portax.jit(lambda x: x, compiler_options={"a": 1})(1.0)',
        errors.ArgumentError,
        "jit knows no compiler options, got ['a']",
    ),
    ('portax.jit(lambda x: x, effort="great")', errors.ArgumentError, "jit knows no effort 'great'"),
    (
        "lax.while_loop(lambda x: x, lambda x: x, 1.0)",
        errors.ArgumentError,
        "the condition of while_loop, <lambda>, must give one bool of shape (), got float32[]",
    ),
    (
        "lax.while_loop(lambda x: (x < 1, 2), lambda x: x, 1.0)",
        errors.ArgumentError,
        "the condition of while_loop, <lambda>, must give one bool of shape (), got bool[], int32[]",
    ),
    (
        "lax.while_loop(lambda x: x < 1, lambda x: (x, x), 1.0)",
        errors.ArgumentError,
        "while_loop: the carry is PyTreeDef(*) going in and PyTreeDef((*, *)) coming out of the body",
    ),
    (
        'lax.conv_dimension_numbers((1, 1, 4, 4), (1, 1, 2, 2), ("NCHW", "OIAB", "NCHW"))',
        errors.ArgumentError,
        "the dimension numbers ('NCHW', 'OIAB', 'NCHW') have different spatial letters",
    ),
    (
        'lax.conv_dimension_numbers((1, 1, 4, 4), (1, 1, 2, 2), ("NCHH", "OIHW", "NCHW"))',
        errors.ArgumentError,
        "the dimension numbers 'NCHH' must have 'N' and 'C' once, and no letter twice",
    ),
    ("lax.select_n(True)", errors.ArgumentError, "select_n was given no cases"),
    ("lax.stack([])", errors.ArgumentError, "stack was given no arrays"),
    (
        "lax.reshape(A, (4, -1))",
        errors.ShapeError,
        "reshape cannot find the missing size of (4, -1) for the 6 elements of float32[2,3]",
    ),
    ("pnp.select([], [])", errors.ArgumentError, "select was given no condition"),
    ("pnp.where(True, 1.0)", errors.ArgumentError, "where was given one of x and y"),
    (
        "pnp.where(True, 1.0, 2.0, size=2)",
        errors.ArgumentError,
        "where was given size or fill_value together with x and y",
    ),
    ('pnp.array([1.0], order="F")', errors.ArgumentError, "arrays are in row-major order, not 'F'"),
    ("pnp.from_dlpack(np.zeros(2))", errors.DtypeError, "from_dlpack was given float64, and 64-bit dtypes are off"),
    ("pnp.zeros((1.5,))", errors.ShapeError, "a shape has integer lengths, not 1.5"),
    ("pnp.zeros((-1,))", errors.ShapeError, "a shape has no negative lengths: (-1,)"),
    ("pnp.diag(pnp.ones((1, 1, 1)))", errors.ShapeError, "diag takes one or two axes, not shape (1, 1, 1)"),
    ("pnp.diagonal(V)", errors.ShapeError, "diagonal needs at least two axes, not shape (3,)"),
    ("pnp.triu_indices_from(V)", errors.ShapeError, "triu_indices_from needs a matrix, not shape (3,)"),
    ("pnp.repeat(V, 1.5)", errors.ArgumentError, "repeat needs integers as repeats, not float32[]"),
    ("pnp.repeat(V, -1)", errors.ArgumentError, "repeat was given negative repeats: -1"),
    ('pnp.trim_zeros(V, "x")', errors.ArgumentError, "trim_zeros does not know 'x'"),
    ("pnp.arange(None)", errors.ArgumentError, "arange was given no number to count to"),
    ("pnp.arange(0, 3, 0)", errors.ArgumentError, "arange was given step 0"),
    ("pnp.meshgrid(V, V, copy=False)", errors.ArgumentError, "meshgrid always copies"),
    ('pnp.meshgrid(V, V, indexing="zz")', errors.ArgumentError, "meshgrid was given indexing 'zz'"),
    ("pnp.tril(V)", errors.ShapeError, "tril needs at least two axes, not float32[3]"),
    ("V[::0]", errors.ArgumentError, "slice(None, None, 0) has step 0"),
    ("pnp.block([[V, [V]], V])", errors.ArgumentError, "block was given lists of different depths"),
    ("pnp.concatenate([])", errors.ArgumentError, "concatenate was given no array; it needs at least one array"),
    (
        "pnp.concatenate([A, V])",
        errors.ShapeError,
        "concatenate cannot join arrays of shapes (2, 3), (3,) along axis 0",
    ),
    ("pnp.concatenate([S, S])", errors.ShapeError, "concatenate cannot join zero-dimensional arrays"),
    ("V.mT", errors.ShapeError, ".mT needs at least two axes, not float32[3]"),
    ('pnp.pad(V, 1, mode="nothing")', errors.ArgumentError, "pad has no mode 'nothing'"),
    ("pnp.pad(V, 1.5)", errors.ArgumentError, "pad_width must be of integral type, not float64"),
    ("pnp.matmul(S, V)", errors.ShapeError, "matmul multiplies matrices and vectors, got float32[] and float32[3]"),
    (
        "pnp.matmul(A, A)",
        errors.ShapeError,
        "matmul cannot multiply float32[2,3] by float32[2,3]: axis 1 and axis 0 differ",
    ),
    (
        "pnp.dot(A, A)",
        errors.ShapeError,
        "dot cannot multiply float32[2,3] by float32[2,3]: axis 1 and axis 0 differ",
    ),
    (
        "pnp.max(pnp.ones(3), where=pnp.array([True, False, True]))",
        errors.ArgumentError,
        "max was given where= and no initial=",
    ),
    ("pnp.moveaxis(A, (0, 1), (0,))", errors.ArgumentError, "moveaxis was given 2 sources and 1 destinations"),
    ('pnp.reshape(V, 3, order="Z")', errors.ArgumentError, "reshape does not know order 'Z'"),
    ("pnp.rollaxis(A, 0, 7)", errors.AxisError, "rollaxis cannot put an axis before 7 of 2"),
    ("pnp.reshape(A, (-1, -1))", errors.ShapeError, "reshape can work out only one length, got (-1, -1)"),
    ("pnp.reshape(A, (1.5, 4))", errors.ShapeError, "reshape needs integer lengths, not 1.5"),
    ("pnp.roll(A, (1, 2, 3), (0, 1))", errors.ShapeError, "roll was given 3 shifts for 2 axes"),
    ('pnp.sort(V, kind="quicksort")', errors.ArgumentError, "sort takes no kind= or order="),
    ('pnp.choose(N, [V, V, V], mode="nothing")', errors.ArgumentError, "choose has no mode 'nothing'"),
    ("pnp.choose(N, [])", errors.ArgumentError, "choose was given no array to choose from"),
    (
        "pnp.place(V, pnp.array([True, False, True]), pnp.zeros(0), inplace=False)",
        errors.ArgumentError,
        "place cannot place values from an empty array",
    ),
    ('pnp.put(V, N, V, mode="nothing", inplace=False)', errors.ArgumentError, "put has no mode 'nothing'"),
    ('pnp.take(V, N, mode="nothing")', errors.ArgumentError, "take has no mode 'nothing'"),
    ("pnp.compress(A > 1, A)", errors.ShapeError, "compress needs a condition with one axis, not shape (2, 3)"),
    ("pnp.subtract.reduce(pnp.zeros(0))", errors.ArgumentError, "subtract has no identity to reduce no elements to"),
    ("pnp.add.reduce(V, out=V)", errors.ArgumentError, "add.reduce takes no out"),
    ("pnp.add.accumulate(V, out=V)", errors.ArgumentError, "add.accumulate takes no out"),
    ("pnp.add.reduceat(V, N, out=V)", errors.ArgumentError, "add.reduceat takes no out"),
    ("pnp.subtract.reduce(V, where=V > 1)", errors.ArgumentError, "subtract.reduce with where has no start"),
    ("pnp.frompyfunc(lambda a, b: a, 2, 1)(V)", errors.ArgumentError, "<lambda> takes 2 arrays, not 1"),
    ("lax.select_n(V, V, V)", errors.DtypeError, "select_n chooses by bool or int32, got float32[3]"),
    (
        "lax.select_n(pnp.array([True]), pnp.ones(1), pnp.ones(1), pnp.ones(1))",
        errors.ShapeError,
        "select_n cannot choose among 3 cases by a bool",
    ),
    (
        "lax.dot_general(A, A, (((0,), (1,)), ((), ())))",
        errors.ShapeError,
        "dot_general cannot pair contracting axis 0 of lhs: float32[2,3] with axis 1 of rhs: float32[2,3]",
    ),
    (
        "lax.dot_general(A, A, (((0, 1), (1,)), ((), ())))",
        errors.ShapeError,
        "dot_general pairs contracting axes, got (0, 1) and (1,)",
    ),
    ("lax.top_k(V, 5)", errors.ShapeError, "top_k cannot take 5 of the 3 elements along axis 0 of x: float32[3]"),
    (
        "random.categorical(key, V, shape=(9,), replace=False)",
        errors.ArgumentError,
        "categorical cannot draw 9 of 3 categories without replacement",
    ),
    (
        "random.choice(key, 3, (9,), replace=False)",
        errors.ArgumentError,
        "choice cannot draw 9 of 3 elements without replacement",
    ),
    (
        "random.choice(key, 3, p=pnp.ones(2))",
        errors.ShapeError,
        "choice was given probabilities p: float32[2] for 3 elements",
    ),
    (
        "random.dirichlet(key, pnp.array(1.0))",
        errors.ShapeError,
        "dirichlet needs alpha of at least one axis, got a scalar",
    ),
    ('random.bits(key, (2,), "uint4")', errors.DtypeError, "bits gives dtypes of 8 bits and more, not uint4"),
    ('random.key(0, impl="threefry2x32", dtype=1)', errors.ArgumentError, "key was given both impl and dtype"),
    (
        "portax.grad(lambda x: x.real, holomorphic=True)(1j)",
        errors.DtypeError,
        "grad with holomorphic=True needs a complex value, and <lambda> returned float32[]",
    ),
    (
        'portax.config.update("jax_default_matmul_precision", 3.5)',
        errors.ArgumentError,
        "the setting default_matmul_precision cannot be 3.5",
    ),
    (
        'portax.config.update("jax_compilation_cache_dir", 3)',
        errors.ArgumentError,
        "the setting compilation_cache_dir is a string or None, not 3",
    ),
    (
        'portax.config.update("jax_persistent_cache_min_compile_time_secs", "x")',
        errors.ArgumentError,
        "the setting persistent_cache_min_compile_time_secs is a number, not 'x'",
    ),
    (
        'portax.config.update("jax_transfer_guard", "sometimes")',
        errors.ArgumentError,
        "the setting transfer_guard cannot be 'sometimes'",
    ),
    (
        'portax.config.update("jax_numpy_dtype_promotion", "sometimes")',
        errors.ArgumentError,
        "the setting numpy_dtype_promotion cannot be 'sometimes'",
    ),
    ("pnp.hstack(3.0)", errors.ArgumentError, "hstack needs a list or tuple of arrays, not float"),
    (
        "with_jvp(lambda p, t: 3.0)",
        errors.ArgumentError,
        "the jvp rule of <lambda> must return a pair (out, tangent_out), got 3.0",
    ),
    (
        "with_jvp(lambda p, t: (p[0], pnp.ones(2)))",
        errors.ShapeError,
        "a tangent that the jvp rule of <lambda> returned has the shape of float32[2], the value is float32[]",
    ),
    (
        "with_jvp(lambda p, t: (p[0], pnp.ones((), int)))",
        errors.DtypeError,
        "a tangent that the jvp rule of <lambda> returned is int32[], the value is float32[]",
    ),
    ("with_vjp(lambda x: x)", errors.ArgumentError, "the fwd rule of <lambda> must return a pair (out, residuals),"),
    (
        'portax.vmap(lambda x: lax.ppermute(x, "i", [(0, 1), (0, 2)]), axis_name="i")(V)',
        errors.ArgumentError,
        "ppermute sends twice from or to one slice: ((0, 1), (0, 2))",
    ),
    ("pnp.diag_indices(-1)", errors.ArgumentError, "diag_indices was given n=-1"),
    (
        "gathered(collapsed_slice_dims=(0, 1), start_index_map=(1,), **BATCHED)",
        errors.ShapeError,
        "gather collapses a batching axis",
    ),
    (
        "gathered(collapsed_slice_dims=(1,), start_index_map=(0,), **BATCHED)",
        errors.ShapeError,
        "gather counts along a batching axis: (0,) and (0,)",
    ),
    (
        "scattered(pnp.ones(2), inserted_window_dims=(0, 1), scatter_dims_to_operand_dims=(1,), **BATCHED_UPDATES)",
        errors.ShapeError,
        "scatter inserts a batching axis",
    ),
    (
        "scattered(pnp.ones(2, int), inserted_window_dims=(0, 1), scatter_dims_to_operand_dims=(0,))",
        errors.DtypeError,
        "scatter needs updates of the operand's dtype, got int32[2] for float32[2,3]",
    ),
    ("recompiled()", errors.RecompileError, "<lambda> was staged again: x is float32[3], where it was float32[2]"),
    (
        "lax.while_loop(lambda x: x < 1, lambda x: (x, x), 1.0)",
        errors.ArgumentError,
        "while_loop: the carry is PyTreeDef(*) going in and PyTreeDef((*, *)) coming out of the body",
    ),
    ("treedef.flatten_one_level(1)", errors.TreeError, "1 is a leaf, it has no children"),
    (
        'lowering.decomposition(registry["add"], (), {})',
        errors.GapError,
        "add can neither be written as StableHLO nor be decomposed",
    ),
    ('pnp.linalg.slogdet(A @ A.T, method="guess")', errors.ArgumentError, "slogdet knows no method 'guess'"),
    ('pnp.linalg.eigh(A @ A.T, UPLO="X")', errors.ArgumentError, "eigh was given UPLO='X'"),
    (
        "lax.linalg.qdwh(A)",
        errors.ShapeError,
        "qdwh needs one matrix with no fewer rows than columns, got float32[2,3]",
    ),
    ('portax.scipy.signal.detrend(V, type="guess")', errors.ArgumentError, "detrend has no type 'guess'"),
    (
        (
            "portax.nn.dot_product_attention(pnp.ones((1, 2, 1, 2)), pnp.ones((1, 2, 1, 2)), pnp.ones((1, 2, 1, "
            "2)), query_seq_lengths=pnp.ones(1))"
        ),
        errors.DtypeError,
        "dot_product_attention needs query_seq_lengths of int32, got float32[1]",
    ),
    (
        'lax.conv_general_dilated(pnp.ones((1, 3, 4)), pnp.ones((2, 1, 2)), (1,), "VALID", feature_group_count=3)',
        errors.ShapeError,
        "conv_general_dilated cannot make 3 groups of 2 features out of rhs",
    ),
    (
        (
            'lax.conv_general_dilated(pnp.ones((2, 2, 4)), pnp.ones((2, 1, 2)), (1,), "VALID", '
            "feature_group_count=2, batch_group_count=2)"
        ),
        errors.ShapeError,
        "conv_general_dilated cannot work in groups of features and of batches at once, got 2 and 2",
    ),
    (
        "lax.linalg.triangular_solve(pnp.ones((2, 2)), pnp.ones((3, 3)), left_side=True)",
        errors.ShapeError,
        "triangular_solve needs a b with as many rows as a has, got a: float32[2,2] and b: float32[3,3]",
    ),
    (
        "lax.linalg.householder_product(pnp.ones((3, 2)), pnp.ones(3))",
        errors.ShapeError,
        "householder_product finds at most 2 reflections in a: float32[3,2], got taus: float32[3]",
    ),
    (
        'lax.reduce_window(A, 0.0, lax.add, (1,), (1,), "VALID")',
        errors.ShapeError,
        "reduce_window_sum needs window_dimensions for each of 2 axes, got (1,)",
    ),
    (
        'lax.reduce_window(A, 0.0, lax.add, (1, 1), (1,), "VALID")',
        errors.ShapeError,
        "reduce_window_sum needs window_strides for each of 2 axes, got (1,)",
    ),
    ('pnp.packbits(N, bitorder="middle")', errors.ArgumentError, "packbits has no bitorder 'middle'"),
    ("pnp.packbits(V)", errors.DtypeError, "packbits was given float32[3]"),
    ("pnp.polyint(V, m=2, k=pnp.ones(3))", errors.ArgumentError, "polyint was given 3 constants for m=2"),
    ("pnp.interp(V * 1j, V, V)", errors.ArgumentError, "interp was given complex points"),
    ('pnp.interp(V, V, V, left="x")', errors.ArgumentError, "interp was given left='x'"),
    (
        'pnp.percentile(V, 50, method="linear", weights=V)',
        errors.ArgumentError,
        "percentile was given weights and method='linear'",
    ),
    ("pnp.quantile(V, pnp.ones((2, 2)))", errors.ShapeError, "quantile was given q of shape (2, 2)"),
    (
        'pnp.vectorize(lambda x: x, signature="n -> n")(V)',
        errors.ArgumentError,
        "vectorize does not understand the signature 'n -> n'",
    ),
    (
        'pnp.vectorize(lambda x: x, signature="(n)->(n)")(V, V)',
        errors.ArgumentError,
        "vectorize was given 2 arrays for the signature '(n)->(n)'",
    ),
    ("pnp.gradient(pnp.ones(1))", errors.ShapeError, "gradient needs two samples along an axis, got float32[1]"),
    (
        'pnp.histogram(V, bins="guess")',
        errors.GapError,
        "histograms here have no rule 'guess' for the number of bins",
    ),
    (
        "pnp.bincount(N, weights=pnp.ones(2))",
        errors.ShapeError,
        "bincount of int32[3] was given weights of shape (2,)",
    ),
    (
        "pnp.histogram(V, weights=pnp.ones(2))",
        errors.ShapeError,
        "histogram of float32[3] was given weights of shape (2,)",
    ),
    ("pnp.histogram2d(V, pnp.ones(2))", errors.ShapeError, "histogram2d was given float32[3] and float32[2]"),
    ("pnp.histogramdd(pnp.ones((2, 2, 2)))", errors.ShapeError, "histogramdd was given float32[2,2,2]"),
    (
        'pnp.__array_namespace_info__().dtypes(kind="nothing")',
        errors.ArgumentError,
        "the array API has no kind 'nothing' of dtypes",
    ),
    ("lax.platform_dependent(1.0, default=3)", errors.ArgumentError, "platform_dependent was given 3"),
    (
        'portax.scipy.linalg.solve(pnp.eye(2), pnp.ones(2), assume_a="guess")',
        errors.ArgumentError,
        "solve knows no assumption 'guess'",
    ),
    ('portax.scipy.linalg.polar(A, side="top")', errors.ArgumentError, "polar knows no side 'top'"),
    ('portax.scipy.linalg.schur(pnp.eye(2), output="guess")', errors.ArgumentError, "schur knows no output 'guess'"),
    (
        "portax.scipy.linalg.rsf2csf(pnp.eye(2), pnp.eye(3))",
        errors.ShapeError,
        "rsf2csf needs T and Z of one size, got float32[2,2] and float32[3,3]",
    ),
    (
        "portax.scipy.linalg.sqrtm(pnp.eye(2), blocksize=2)",
        errors.GapError,
        "sqrtm works without blocks, not with blocksize=2",
    ),
    ('portax.scipy.linalg.pascal(3, kind="guess")', errors.ArgumentError, "pascal knows no kind 'guess'"),
    ("portax.scipy.linalg.hilbert(-1)", errors.ArgumentError, "hilbert was given the size -1"),
    ("portax.scipy.signal.welch(V, detrend=3)", errors.ArgumentError, "csd has no detrend 3"),
]


@pytest.mark.parametrize(("written", "error", "words"), REFUSED, ids=[written for written, _, _ in REFUSED])
def test_it_is_refused_in_words_that_say_why(written, error, words):
    with pytest.raises(error) as refusal:
        eval(written, dict(NAMES))
    assert str(refusal.value).startswith(words)
    assert type(refusal.value) is error


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("recompiled()", "arguments of the same shapes, dtypes and static values, or stage it before the block"),
        ("lax.while_loop(lambda x: x < 1, lambda x: (x, x), 1.0)", "return the carry with the same tree, shapes"),
    ],
)
def test_it_is_said_how_to_mend_it(written, fix):
    with pytest.raises(errors.PortaxError) as refusal:
        eval(written, dict(NAMES))
    assert fix in str(refusal.value)
