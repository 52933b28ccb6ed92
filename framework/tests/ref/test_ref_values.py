"""References without transformations: what they hold, how they are indexed, what they say of themselves."""

import copy

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax


def test_a_reference_holds_what_was_written_last():
    ref = portax.new_ref(pnp.zeros(3))
    ref[...] = pnp.arange(3.0)
    ref[1] = 7.0
    ref[1:] += 1
    assert ref[...].tolist() == [0.0, 8.0, 3.0]


def test_what_was_read_stays_as_it_was():
    ref = portax.new_ref(pnp.zeros(2))
    before = ref[...]
    ref[0] = 1.0
    assert before.tolist() == [0.0, 0.0]


def test_the_array_it_was_made_of_never_changes():
    x, host = pnp.zeros(2), np.zeros(2, np.float32)
    a, b = portax.new_ref(x), portax.new_ref(host)
    a[0], b[0] = 1.0, 1.0
    host[1] = 5.0
    assert (x.tolist(), b[...].tolist()) == ([0.0, 0.0], [1.0, 0.0])


@pytest.mark.parametrize(
    "idx", [..., None, (), 0, -1, slice(1, 3), (slice(None), 1), (1, ..., 2), (np.array([2, 0]),), (None, 1)], ids=repr
)
def test_an_index_reads_and_writes_what_it_means_of_an_array(idx):
    x = pnp.arange(12.0).reshape(3, 4)
    ref = portax.new_ref(x)
    whole = ... if idx is None else idx
    assert np.array_equal(ref[idx], x[whole])
    ref[idx] = -x[whole]
    assert np.array_equal(ref[...], x.at[whole].set(-x[whole]))


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_window_may_start_at_a_traced_place(traced, stride):
    x = pnp.arange(24.0).reshape(4, 6)

    def f(i):
        ref = portax.new_ref(x)
        part = ref[1:3, portax.ds(i, 3, stride)]
        ref[1:3, portax.ds(i, 3, stride)] = -part
        return part, portax.freeze(ref)

    part, whole = (portax.jit(f) if traced else f)(1)
    rows = np.asarray(x)[1:3, 1 : 1 + 3 * stride : stride]
    expected = np.array(x)
    expected[1:3, 1 : 1 + 3 * stride : stride] *= -1
    assert np.array_equal(part, rows) and np.array_equal(whole, expected)


def test_a_window_of_a_size_alone_starts_at_the_front():
    ref = portax.new_ref(pnp.arange(5))
    assert ref[portax.ds(2)].tolist() == [0, 1] and ref[portax.ds(None)].tolist() == [0, 1, 2, 3, 4]


def test_a_part_is_a_reference_of_its_own():
    ref = portax.new_ref(pnp.zeros((2, 3)))
    row = ref.at[1]
    row[0] = 1.0
    row.at[1:].at[0].set(2.0)
    row.addupdate(pnp.ones(3))
    row.addupdate(10.0, 2)
    assert row.get().tolist() == [2.0, 3.0, 11.0]
    assert row.swap(pnp.zeros(3)).tolist() == [2.0, 3.0, 11.0]
    assert ref[...].tolist() == [[0.0] * 3] * 2
    assert (row.shape, row.ndim, row.size, row.dtype) == ((3,), 1, 3, np.float32)


def test_functions_read_write_swap_and_add():
    ref = portax.new_ref(pnp.arange(3.0))
    assert float(portax.ref.get(ref, 1)) == 1.0
    portax.ref.set(ref, 1, 5.0)
    assert float(portax.ref.swap(ref, 1, 6.0)) == 5.0
    portax.ref.addupdate(ref, slice(0, 2), pnp.ones(2))
    assert portax.ref.get(ref).tolist() == [1.0, 7.0, 2.0]


def test_an_element_named_twice_is_added_to_twice():
    ref = portax.new_ref(pnp.zeros(2))
    portax.ref.addupdate(ref, np.array([0, 0, 1]), pnp.ones(3))
    assert ref[...].tolist() == [2.0, 1.0]


def test_a_weak_reference_stays_weak():
    ref = portax.new_ref(1.0)
    ref[...] = pnp.float32(2)
    assert ref.weak_type and ref[...].weak_type
    assert portax.jit(lambda: ref[...])().weak_type


def test_a_reference_says_what_it_holds():
    ref = portax.new_ref(pnp.arange(6.0).reshape(2, 3))
    assert (ref.shape, ref.ndim, ref.size, ref.dtype, len(ref)) == ((2, 3), 2, 6, np.float32, 2)
    assert [row.tolist() for row in ref] == [[0, 1, 2], [3, 4, 5]]
    assert repr(portax.new_ref(pnp.arange(2))) == "Ref([0, 1], dtype=int32)"
    assert not ref.committed and ref.unsafe_buffer_pointer()
    assert isinstance(ref, portax.Ref) and not isinstance(ref, portax.Array)


def test_a_reference_is_one_leaf_and_equal_to_itself_alone():
    ref, other = portax.new_ref(0.0), portax.new_ref(0.0)
    assert portax.tree.leaves([ref]) == [ref] and ref != other


def test_an_empty_reference_has_the_shape_and_dtype_asked_for():
    ref = portax.empty_ref(portax.ShapeDtypeStruct((2, 3), "int32"))
    assert (ref.shape, ref.dtype) == ((2, 3), np.int32)
    assert portax.empty_ref(ref.aval).shape == (2, 3)


def test_its_type_is_that_of_what_it_holds():
    aval = portax.typeof(portax.new_ref(1.0))
    assert isinstance(aval, portax.ref.AbstractRef) and repr(aval) == "Ref{float32[]}"
    assert aval.inner_aval is portax.typeof(1.0) and aval.weak_type
    assert (aval.shape, aval.ndim, aval.size, aval.dtype, aval.sharding) == ((), 0, 1, np.float32, None)
    firm = aval.strip_weak_type()
    assert firm != aval and firm == portax.typeof(portax.new_ref(pnp.float32(1))) and hash(firm) == hash(firm.update())
    assert firm == aval.normalize() == aval.to_tangent_aval() == aval.to_ct_aval()
    assert firm.update_weak_type(True) == aval and firm.str_short(True) == "Ref{f32[]}"
    assert firm.update(memory_space="any", kind="k").kind == "k"


def test_freezing_gives_the_last_value():
    ref = portax.new_ref(1.0)
    ref[...] += 1
    assert float(portax.freeze(ref)) == 2.0
    assert repr(ref) == "Ref(frozen, float32[])"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_another_reference(copied):
    ref = portax.new_ref(pnp.zeros(2))
    other = copied({"r": ref})["r"] if copied is copy.deepcopy else copied(ref)
    other[0] = 1.0
    assert (ref[...].tolist(), other[...].tolist()) == ([0.0, 0.0], [1.0, 0.0])


def test_a_random_key_is_held_and_replaced():
    ref = portax.new_ref(portax.random.key(0))

    def draw():
        ref[...], sub = portax.random.split(ref[...])
        return portax.random.normal(sub)

    a, b = portax.jit(draw)(), draw()
    one, first = portax.random.split(portax.random.key(0))
    _, second = portax.random.split(one)
    assert [float(a), float(b)] == [float(portax.random.normal(k)) for k in (first, second)]


def test_without_jit_references_work_alike():
    ref = portax.new_ref(0.0)

    @portax.jit
    def f(r, x):
        lax.fori_loop(0, 3, lambda i, _: r.addupdate(x), None)

    with portax.disable_jit():
        f(ref, 2.0)
    assert float(ref[...]) == 6.0
