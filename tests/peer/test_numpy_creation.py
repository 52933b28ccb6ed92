"""Making arrays against JAX: values, dtypes, weak types, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax.numpy as pnp
from portax.core.config import override

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning"),
]

CALLS = """
array(1.)
array([1., 2])
array([True, 2])
array(np.float64(1))
array([np.float16(1), 2.])
array([N.float16(1), 2])
array([N.arange(2), N.arange(2.)])
array([])
array([2**31])
array(2**31)
array("a")
array(None)
array([[1], [2, 3]])
array(1., ndmin=2)
array(N.ones(2), dtype=int)
array([1.5], dtype=int)
array([1 + 2j])
array(memoryview(b"ab"))
array(range(3))
array({"a": 1})
array([300], dtype="uint8")
array(-1, dtype="uint8")
array([1, 2**31], dtype="uint32")
asarray([1.], dtype="bfloat16")
asarray(np.arange(3))
asarray(1, dtype="float32")
copy(1.)
astype(1., int)
astype(N.array([1 + 2j]), float)
arange(3)
arange(3.)
arange(1, 4)
arange(0, 1, .25)
arange(5, 0, -2)
arange(1, 1)
arange(-3)
arange(0.5, 3)
arange(3, dtype="bfloat16")
arange(2, dtype=bool)
arange(np.int8(3))
arange(N.float16(3))
arange(1, 3, 0.5, dtype=int)
zeros(3)
zeros((2, 0), int)
zeros(-1)
zeros("a")
ones(())
empty(2)
full(2, 1.)
full(2, N.float16(1))
full((2,), N.arange(2))
full(2, 1, dtype=float)
full_like(N.asarray(1.), 2)
full_like(N.ones(2, int), 2.5)
full_like([1, 2], 2)
zeros_like(1.)
zeros_like(N.asarray(1.), dtype=int)
zeros_like(N.ones(3), shape=(2,))
ones_like(np.ones(2))
linspace(0, 1, 5)
linspace(0, 1, 5, dtype=int)
linspace(0, 10, 3, endpoint=False)
linspace(0, 1, 5, retstep=True)
linspace(N.array([0, 1]), 2., 3)
linspace(N.array([0, 1]), 2., 3, axis=1)
linspace(0, 1, 1)
linspace(0, 1, 0)
linspace(1j, 2, 3)
logspace(0, 2, 3)
logspace(0, 2, 3, base=2)
geomspace(1, 100, 3)
geomspace(-1, -100, 3)
geomspace(1, 1000, 4, endpoint=False)
geomspace(1., 4., 2)
geomspace(1., 4., 1)
geomspace(1., 4., 1, endpoint=False)
eye(2)
eye(2, 3, k=1)
eye(3, k=-1, dtype=int)
identity(2, bool)
tri(2, 3, 0)
tril(N.ones((2, 3), int), -1)
triu(N.ones((2, 2, 2)), k=1)
tril(N.ones(2))
meshgrid(N.arange(2), N.arange(3.))
meshgrid(N.arange(2), N.arange(3), indexing="ij", sparse=True)
indices((2, 2))
indices((2,), dtype=float)
indices((2, 3), sparse=True)
ix_(N.arange(2), N.arange(3))
ix_(N.arange(2), np.array([True, False]))
mgrid[0:2, 0:3]
mgrid[0:1:3j]
ogrid[0:2, 0:3]
r_[0:3, 9]
c_[0:2, 5:7]
fromfunction(lambda i, j: i + j, (2, 2))
fromfunction(lambda i: 1.0, (3,), dtype=int)
frombuffer(b"abcd", dtype="uint8")
fromstring("1 2", dtype=int, sep=" ")
float32(3)
int32(3.7)
bool_(1)
float32([1, 2])
promote_types("int8", "float16")
promote_types("bfloat16", int)
result_type(1, 2.)
result_type(N.float16(1), 2.)
can_cast("int32", "float32")
issubdtype("float32", N.floating)
isdtype("int8", "integral")
isscalar(N.ones(()))
isscalar("a")
nonzero(N.array([[0, 1], [2, 0]]))
nonzero(N.array([[0, 1], [2, 0]]), size=3, fill_value=-1)
nonzero(N.array(1))
nonzero(1, size=2)
where(N.array(True))
argwhere(N.array(1))
where(N.array([0, 1, 2]), 1, 2.)
where(N.array([True, False])[:, None], N.arange(3), 0)
where(True, 1, 2)
where(True, 1)
select([N.array([True, False]), N.array([True, True])], [1, 2.5], 0)
clip(N.arange(5), 1, 3)
clip(N.arange(5), 1.5)
clip(N.array(1j), 0)
nan_to_num(N.array([N.nan, N.inf, 1.]), nan=7., posinf=5.)
round(N.array([1.25, -2.35, 1e10]), 1)
round(N.array([125., 135.]), -1)
round(N.array([1, 2]), -1)
array_equal(N.arange(3), N.arange(3))
array_equal(N.arange(3), N.arange(4))
array_equiv(N.ones((2, 3)), N.ones(3))
allclose(N.ones(3), 1 + 1e-7)
isclose(N.array([N.nan, 1.]), N.array([N.nan, 1.]), equal_nan=True)
add.reduce(N.arange(6).reshape(2, 3))
add.accumulate(N.arange(4))
multiply.outer(N.arange(2), N.arange(3))
maximum.reduce(N.array([3, 1, 4]))
add.at(N.zeros(3), N.array([0, 0]), 1., inplace=False)
logical_and.reduce(N.array([True, False]))
frompyfunc(lambda a, b: a * 2 + b, 2, 1)(N.arange(3), 1)
""".strip().splitlines()


def outcome(module, call):
    """What a call gives, as comparable data; ``"refused"`` where it raises."""
    try:
        out = eval(f"N.{call}", {"N": module, "np": np})
    except (TypeError, ValueError, OverflowError, NotImplementedError):
        return "refused"
    leaves = out if isinstance(out, (list, tuple)) else [out]
    return [
        (np.asarray(x), x.dtype.name, x.dtype != bool and x.weak_type) if hasattr(x, "weak_type") else x for x in leaves
    ]


@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("call", CALLS)
def test_making_arrays_is_jaxs(call, x64):
    with jax.enable_x64(x64), override("enable_x64", x64):
        theirs, ours = outcome(jnp, call), outcome(pnp, call)
    assert len(theirs) == len(ours), f"JAX: {theirs}, portax: {ours}"
    for a, b in zip(theirs, ours, strict=True):
        if not isinstance(a, tuple):
            assert a == b
            continue
        assert a[1:] == b[1:]
        wide = np.complex128 if a[0].dtype.kind == "c" else np.float64
        np.testing.assert_allclose(a[0].astype(wide), b[0].astype(wide), rtol=1e-6, atol=1e-7)
