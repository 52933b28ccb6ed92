"""Plugins for JAX, made up for tests: modules that register themselves, and libraries made with a C compiler."""

from __future__ import annotations

import shutil
import subprocess

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

# The head of PJRT_Api, and then functions that are not there: calling one ends the process.
LIBRARY = """
#include <stddef.h>
typedef struct { size_t size; void *extensions; int major, minor; } Version;
typedef struct { size_t size; void *extensions; Version version; void *functions[300]; } Api;
static Api api = {sizeof(Api), NULL, {sizeof(Version), NULL, MAJOR, MINOR}};
const Api *GetPjrtApi(void) { return &api; }
"""


def built(folder, name, text, *arguments):
    """A shared library of C's ``text``."""
    source, out = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(out), str(source), *arguments], check=True)
    return out


def library(folder, major, minor, name="fake"):
    """A library that says it speaks PJRT ``major.minor``, and does nothing."""
    return built(folder, name, LIBRARY, f"-DMAJOR={major}", f"-DMINOR={minor}")


def module(body, *, imports="import jax._src.xla_bridge as xb"):
    """The text of a plugin whose ``initialize()`` does this."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return f"{imports}\n\ndef initialize():\n{lines}\n"
