"""What is read in a program's text."""

from __future__ import annotations

from portax_pjrt.jaxlib.signature import donated_by


def test_the_donated_arguments_are_read_in_the_text():
    text = """func.func public @main(%arg0: tensor<4xf32> {jax.note = "%a: tf.aliasing_output ("}, %b: tensor<f32>
        {tf.aliasing_output = 1 : i32, sdy.sharding = #sdy.sharding<@mesh, [{}]>},
        %2: tensor<f32> {jax.buffer_donor = true}) {"""
    assert donated_by(text) == (1, 2)


def test_a_program_that_gives_nothing_away_is_read_so():
    assert donated_by("func.func public @main(%a: tensor<4xf32>) {") == ()
