"""All primitives: one room for a family. This is the one list of their names."""

from portax.primitives.arithmetic import (
    abs_,
    add,
    ceil,
    div,
    floor,
    integer_pow,
    max_,
    min_,
    mul,
    neg,
    rem,
    round_,
    sign,
    sqrt,
    square,
    sub,
)
from portax.primitives.barriers import (
    copy,
    name,
    optimization_barrier,
    stop_gradient,
)
from portax.primitives.bit_generator import rng_bit_generator
from portax.primitives.bits import (
    and_,
    clz,
    mulhi,
    not_,
    or_,
    population_count,
    shift_left,
    shift_right_arithmetic,
    shift_right_logical,
    xor,
)
from portax.primitives.broadcasting import (
    broadcast_in_dim,
    reduce_sum,
    reshape,
    squeeze,
    transpose,
)
from portax.primitives.checking import check
from portax.primitives.collectives import (
    axis_index,
    pmax,
    pmin,
    psum,
    psum_invariant,
    pvary,
)
from portax.primitives.comparison import (
    clamp,
    eq,
    ge,
    gt,
    is_finite,
    le,
    lt,
    ne,
    select_n,
)
from portax.primitives.complex_parts import (
    complex_,
    conj,
    imag,
    real,
)
from portax.primitives.contraction import (
    Precision,
    canonical_precision,
    dot_general,
)
from portax.primitives.conversion import (
    bitcast_convert_type,
    convert_element_type,
    nextafter,
    reduce_precision,
)
from portax.primitives.convolution import (
    ConvDimensionNumbers,
    conv_general_dilated,
)
from portax.primitives.cumulative import (
    cumlogsumexp,
    cummax,
    cummin,
    cumprod,
    cumsum,
)
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset
from portax.primitives.dynamic_slicing import (
    dynamic_slice,
    dynamic_update_slice,
)
from portax.primitives.exchanges import (
    all_gather,
    all_gather_invariant,
    all_to_all,
    ppermute,
    reduce_scatter,
)
from portax.primitives.exponential import (
    cbrt,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    logistic,
    pow_,
    rsqrt,
)
from portax.primitives.fourier import (
    FftType,
    fft,
)
from portax.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather,
)
from portax.primitives.iota import (
    iota,
)
from portax.primitives.linalg import (
    cholesky,
    cholesky_update,
    eig,
    eigh,
    geqp3,
    geqrf,
    hessenberg,
    householder_product,
    lu,
    lu_pivots_to_permutation,
    ormqr,
    qr,
    schur,
    svd,
    symmetric_product,
    triangular_solve,
    tridiagonal,
    tridiagonal_solve,
)
from portax.primitives.random_bits import (
    random_clone,
    random_fold_in,
    random_seed,
    random_split,
    random_unwrap,
    random_wrap,
)
from portax.primitives.reductions import (
    argmax,
    argmin,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_xor,
)
from portax.primitives.scattering import (
    scatter,
    scatter_add,
    scatter_max,
    scatter_min,
    scatter_mul,
    scatter_sub,
)
from portax.primitives.slicing import (
    concatenate,
    pad,
    rev,
    slice_,
    split,
)
from portax.primitives.sorting import (
    sort,
    top_k,
)
from portax.primitives.special import (
    bessel_i0e,
    bessel_i1e,
    digamma,
    erf,
    erf_inv,
    erfc,
    igamma,
    igamma_grad_a,
    igammac,
    lgamma,
    polygamma,
    random_gamma_grad,
    regularized_incomplete_beta,
    zeta,
)
from portax.primitives.threefry import threefry2x32
from portax.primitives.trigonometric import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    sin,
    sinh,
    tan,
    tanh,
)
from portax.primitives.window_reductions import (
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    select_and_gather_add,
    select_and_scatter_add,
)
from portax.primitives.zeros import (
    add_any,
)
