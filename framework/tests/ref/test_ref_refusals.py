"""What references refuse: each error says what was wrong, and how to mend it."""

import pickle

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, DtypeError, IndexingError, RefError, ShapeError
from portax.export import export


def counter(x=0.0):
    return portax.new_ref(pnp.asarray(x))


def refuses(error, words, fix=""):
    return pytest.raises(error, match=f"(?s){words}.*{fix}")


def ended(how):
    ref = counter()
    how(ref)
    return ref


@pytest.mark.parametrize("how, word", [(portax.freeze, "frozen"), (portax.free_ref, "freed")])
@pytest.mark.parametrize(
    "use",
    [
        lambda r: r[...],
        lambda r: r.__setitem__(..., 1.0),
        lambda r: r.addupdate(1.0),
        portax.freeze,
        portax.free_ref,
        portax.jit(lambda r: r[...]),
        lambda r: portax.jit(lambda: r[...])(),
        lambda r: lax.scan(lambda c, _: (c, r[...]), None, length=2),
    ],
)
def test_a_reference_that_was_given_up_cannot_be_used(how, word, use):
    with refuses(RefError, f"used after it had been {word}", "make another with new_ref"):
        use(ended(how))


def test_a_reference_frozen_inside_a_traced_function_cannot_be_used_there():
    @portax.jit
    def f():
        return ended(portax.freeze)[...]

    with refuses(RefError, "had been frozen"):
        f()


@pytest.mark.parametrize(
    "wrap",
    [
        portax.jit,
        portax.vmap,
        portax.grad,
        lambda f: lambda x: portax.eval_shape(f, x),
        lambda f: lambda x: lax.scan(lambda c, y: (c, f(y)), None, x),
        lambda f: lambda x: lax.cond(True, f, f, x),
        lambda f: portax.checkpoint(f),
    ],
    ids=["jit", "vmap", "grad", "eval_shape", "scan", "cond", "checkpoint"],
)
def test_a_function_cannot_return_a_reference(wrap):
    x = pnp.arange(2.0) if wrap is not portax.grad else 1.0
    with refuses(RefError, r"returned a reference \(Ref\{float32", r"freeze\(ref\)"):
        wrap(portax.new_ref)(x)


def test_an_argument_cannot_be_returned_either():
    with refuses(RefError, "returned a reference", "need not be returned"):
        portax.jit(lambda r: r)(counter())


def test_a_reference_cannot_be_given_twice():
    ref = counter()
    with refuses(RefError, "given one reference .* twice", "Pass it once"):
        portax.jit(lambda a, b: a[...] + b[...])(ref, ref)


def test_a_reference_cannot_be_given_and_closed_over():
    ref = counter(pnp.zeros(2))
    f = portax.jit(lambda a: a[...] + ref[...])
    f(counter(pnp.zeros(2)))
    for call in (f, portax.jit(lambda a: a[...] + ref[...])):  # staged before, and not
        with refuses(RefError, "twice"):
            call(ref)
    with refuses(RefError, "scan was given one reference .* twice"):
        lax.scan(lambda c, row: (c, ref[0]), None, ref)
    with refuses(RefError, r"vmap\(.*\) was given one reference .* twice"):
        portax.vmap(lambda a, b: None)(ref, ref)


def test_a_reference_does_not_outlive_the_function_that_made_it():
    kept = []
    portax.jit(lambda: kept.append(portax.new_ref(1.0)))()
    with refuses(RefError, "after the function that made it had been traced", "with freeze"):
        kept[0][...]
    assert repr(portax.new_ref(0.0)) == "Ref(0., dtype=float32, weak_type=True)"


def test_a_reference_is_given_up_where_it_was_made():
    ref = counter()
    for how, word in ((portax.freeze, "frozen"), (portax.free_ref, "freed")):
        with refuses(RefError, f"was {word} by a function that did not make it"):
            portax.jit(lambda how=how: how(ref))()
    assert float(ref[...]) == 0.0


def test_a_value_that_moves_is_not_written_outside():
    ref = counter()
    for derivative in (
        portax.grad,
        lambda f: lambda x: portax.jvp(f, (x,), (1.0,)),
        lambda f: portax.grad(portax.jit(f)),
    ):
        with refuses(RefError, "being differentiated was written", "stop_gradient"):
            derivative(lambda x: (ref.addupdate(x), x)[1])(1.0)


def test_a_value_with_rows_is_not_written_outside():
    ref = counter()
    for f in (lambda x: ref.addupdate(x), portax.jit(lambda x: ref.addupdate(x))):
        with refuses(RefError, "being batched was written", "argument that is mapped"):
            portax.vmap(f)(pnp.arange(2.0))
    with refuses(RefError, "being batched"):
        portax.vmap(lambda r, x: r.addupdate(x), in_axes=(None, 0))(ref, pnp.arange(2.0))


def test_a_compiled_function_takes_a_reference_where_it_was_compiled_for_one():
    ref = counter(pnp.zeros(3))
    compiled = portax.jit(lambda r, x: r.addupdate(x)).lower(ref, ref[...]).compile()
    for args in ((ref[...], ref[...]), (ref, ref)):
        with refuses(ArgumentError, "was compiled for .* and called with", "same shapes and dtypes"):
            compiled(*args)


def test_a_reference_stays_in_its_process():
    ref = counter()
    with refuses(RefError, "was to be pickled", "Pickle what it holds"):
        pickle.dumps(ref)
    for f, args in ((lambda r: r[...], (ref,)), (lambda: ref.addupdate(1.0), ())):
        with refuses(RefError, "touches references", "Export a function that takes what they hold"):
            export(portax.jit(f))(*args)


def test_the_tangent_of_a_reference_is_another():
    ref = counter()
    with refuses(RefError, "reference as primal and no reference as its tangent", "zeros_like"):
        portax.jvp(lambda r: r[...], (ref,), (1.0,))
    with refuses(RefError, "where an array is needed"):
        portax.jvp(lambda x: x, (1.0,), (ref,))
    with refuses(RefError, "jvp was given one reference .* twice"):
        portax.jvp(lambda r: r[...], (ref,), (ref,))


def test_a_condition_does_not_write():
    ref = counter()
    with refuses(RefError, "condition of while_loop, .*, writes to a reference", "Write in the body"):
        lax.while_loop(lambda n: (ref.addupdate(1.0), n < 2)[1], lambda n: n + 1, 0)


def test_a_loop_does_not_carry_a_reference():
    with refuses(RefError, "where an array is needed", "Read it"):
        lax.scan(lambda c, x: (c, x), counter(), pnp.arange(2.0))


def test_a_function_with_a_rule_touches_no_reference_once_it_is_staged():
    ref = counter(2.0)

    @portax.custom_jvp
    def f(x):
        return x * ref[...]

    f.defjvp(lambda p, t: (p[0], t[0]))
    assert float(f(1.0)) == 2.0
    with refuses(RefError, "from outside was used in f, which may not touch one", "pass its value"):
        portax.jit(f)(1.0)


def test_a_rule_touches_no_reference_on_the_way_back_through_a_branch():
    ref = counter()

    @portax.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, None), lambda _, ct: (ref.addupdate(ct), (ct,))[1])
    with refuses(RefError, "on the way back through a branch", "Return from the differentiated function"):
        portax.grad(lambda x: lax.cond(x > 0, f, lambda x: x, x))(1.0)


def test_a_rule_gives_no_cotangent_for_a_reference():
    @portax.custom_vjp
    def f(ref, x):
        return x

    f.defvjp(lambda ref, x: (x, None), lambda _, ct: (ct, ct))
    with refuses(RefError, "bwd rule of f returned a cotangent for a reference", "Return None"):
        portax.grad(lambda x: f(counter(), x))(1.0)


@pytest.mark.parametrize("use", [pnp.exp, portax.grad(lambda r: r[...]), portax.new_ref, lambda r: lax.add(r, 1.0)])
def test_a_reference_is_no_array(use):
    with pytest.raises((RefError, DtypeError), match=r"where an array is needed|takes arrays and numbers"):
        use(counter())


def test_what_is_written_has_the_shape_and_dtype_of_the_part():
    ref = counter(pnp.zeros(3))
    with refuses(
        ShapeError, r"set was given float32\[4\] for a part of a reference that is float32\[3\]", "broadcast_to"
    ):
        ref[...] = pnp.zeros(4)
    with refuses(ShapeError, r"addupdate was given float32\[\] for a part .* float32\[2\]"):
        ref.addupdate(1.0, slice(2))
    with refuses(DtypeError, r"set was given int32\[\] for a part of a reference that is float32\[\]", "astype"):
        ref[0] = 1
    with refuses(DtypeError, r"swap was given float16\[3\]"):
        portax.ref.swap(ref, None, pnp.zeros(3, "float16"))
    assert ref[...].tolist() == [0.0] * 3


def test_a_place_out_of_range_is_refused():
    ref = counter(pnp.zeros((2, 3)))
    with refuses(IndexingError, r"index 3 is out of range for axis 1 of a reference of shape \(2, 3\)", "Give -3 to 2"):
        ref[0, 3]
    with refuses(IndexingError, "index -3 is out of range for axis 0"):
        ref[-3] = pnp.zeros(3)
    with refuses(IndexingError, "index 2 is out of range"):
        ref.at[2]
    with refuses(IndexingError, "index 0 is out of range", "The axis is empty"):
        counter(pnp.zeros(0))[0]
    with refuses(IndexingError, r"ds\(1, 2, 2\) reaches out of an axis of length 3", "smaller"):
        ref[0, portax.ds(1, 2, 2)]
    with refuses(IndexingError, "window of 4 elements does not fit in an axis of length 3"):
        portax.jit(lambda i: ref[0, portax.ds(i, 4)])(0)
    with refuses(IndexingError, "the index has 3 entries, but the array has 2 axes"):
        ref[0, 0, portax.ds(0, 1)]


def test_a_window_has_a_size_that_is_known():
    for bad in ((0, -1), (0, 1.5), (0, 1, 0)):
        with refuses(ArgumentError, "ds was given size", "only start may be traced"):
            portax.ds(*bad)


def test_only_references_are_frozen_and_written():
    for name, f in {"freeze": portax.freeze, "free_ref": portax.free_ref, "get": portax.ref.get}.items():
        with refuses(ArgumentError, f"{name} needs a reference, got 1.0", "what new_ref returned"):
            f(1.0)
    with refuses(ArgumentError, "set needs a reference"):
        portax.ref.set(np.zeros(2), 0, 1.0)
    with refuses(ArgumentError, "empty_ref needs a shape and a dtype", "ShapeDtypeStruct"):
        portax.empty_ref(3)
    with refuses(ArgumentError, "new_ref was given .* which is not an array"):
        portax.new_ref([1.0])
    with refuses(ArgumentError, "has no length", "Read it"):
        len(counter())
