"""What takes kernels on a processor: implementations of OpenCL, of pip and of the system, CUDA's words, plain C.

``python implementations.py`` installs the system's where apt can and may: the library alone, which no program opens
unless it is named. An implementation is chosen by naming its library before OpenCL is opened, once for a process.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import subprocess
import sys

#: Debian's PoCL, without the file that would make it a platform of every program.
PACKAGE = "libpocl2"
ABSENT = {
    "PoCL, from pip": "pip install 'portax-opencl[pocl]'",
    "PoCL, the system's": f"apt install {PACKAGE}",
    "Intel's runtime": "pip install intel-opencl-rt intel-cmplr-lib-rt",
    "CUDA's words": "pip install portax-cuda, apt install g++",
    "plain C": "pip install portax-onecore (examples/new_driver), apt install gcc",
}


def beside(package: str, *folders: str) -> str:
    """A folder beside an installed package."""
    found = importlib.util.find_spec(package)
    return os.path.join(os.path.dirname(found.origin), *folders) if found and found.origin else ""


def first(*patterns: str) -> str:
    """The first file that is there."""
    return next((file for pattern in patterns for file in sorted(glob.glob(pattern))), "")


def implementations(folder: str) -> dict[str, str]:
    """By name, each as ``portax-conformance bits --backend`` takes it; empty where it is absent.

    Parameters
    ----------
    folder : str
        Where the kernels in CUDA's words may be kept.
    """
    libraries = {
        "PoCL, from pip": first(beside("pyopencl", ".libs", "libpocl*.so*")),
        "PoCL, the system's": first("/usr/lib/*/libpocl.so.2", "/usr/lib/libpocl.so.2", "/usr/lib64/libpocl.so.2"),
        "Intel's runtime": first(os.path.join(sys.prefix, "lib", "libintelocl.so")),
    }
    found = {name: file and f"opencl@OCL_ICD_VENDORS={file}" for name, file in libraries.items()}
    cuda = importlib.util.find_spec("portax_cuda") and (shutil.which("g++") or shutil.which("c++"))
    plain = importlib.util.find_spec("portax_onecore") and shutil.which("cc")
    found["CUDA's words"] = f"cuda@PORTAX_CUDA_SHIM={folder}" if cuda else ""
    found["plain C"] = "onecore" if plain else ""
    return found


def install() -> None:
    """Have the system's PoCL, if that is possible."""
    if implementations("")["PoCL, the system's"] or shutil.which("apt-get") is None:
        return
    if os.geteuid():
        print(f"as root this would install it: apt-get install {PACKAGE}")
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for order in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", PACKAGE]):
        done = subprocess.run(["apt-get", *order], env=quiet, capture_output=True, text=True)
        if done.returncode:
            print(f"apt-get {' '.join(order)} failed:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    install()
