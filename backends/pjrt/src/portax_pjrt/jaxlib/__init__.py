"""Everything that touches jaxlib: the only package that imports it, and the only one that knows its versions.

jaxlib's bindings are private to JAX and trust their caller, so these rooms keep three invariants:

1. **Only calls that never import jax.** Some of jaxlib's methods import ``jax`` when it happens to be installed (a
   second of start-up, and in one case a deadlock). What is used here was checked not to: ``compile_and_load``,
   ``execute_sharded``, ``consume_with_handlers``, ``batched_device_put``, ``memoryview``, ``is_ready`` and their like.
2. **No call on a dead array.** ``is_ready`` on a deleted array is a segmentation fault in jaxlib 0.10, so deletion
   is asked first.
3. **Arrays are made with an aval of ours and a GSPMD sharding.** Neither needs jax, and the aval says later what
   dtype the bytes have.

A file is one room: ``versions`` is the bindings themselves, the others are what is done with them. What a message calls
the device is always an argument, since the same code serves devices of every name.
"""
