"""``portax new-backend``: the package of a driver, which runs as it is written.

The files are templates beside this module, those of all ways and those of one. NumPy, plain C or XLA stands for the
vendor's device, so the package passes the first level of the conformance suite before a line of it is changed.
"""

from __future__ import annotations

import json
import keyword
import re
import string
from collections.abc import Iterator
from pathlib import Path

import click

from portax.errors import ArgumentError, PortaxError
from portax.runtime.contract import INTERFACE_VERSION, OPSETS

__all__ = ["WAYS", "command", "files_of", "write"]

TEMPLATES = Path(__file__).with_name("templates")
ENDING = ".template"

#: By way: what the package needs, its files for the README's table, and what to do first.
WAYS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "eager": (
        ["portax", "numpy>=2.0"],
        {"backend.py": "which function does which primitive, and how arrays come and go"},
        "It runs on NumPy. Put your array library in NumPy's place in `backend.py`, then function by function what it\n"
        "does better than the table's: a primitive in the table is called, one that is not is taken apart.",
    ),
    "kernels": (
        ["portax", "numpy>=2.0"],
        {
            "backend.py": "finds devices",
            "launcher.py": "how the kernel language is spelled, and how the library keeps memory and runs programs",
        },
        "It runs on plain C, on one core. Say in `launcher.py` where your language differs from C, and how your\n"
        "library does the rest; the kernels are portax's.",
    ),
    "compiler": (
        ["portax", "portax-pjrt", "numpy>=2.0"],
        {
            "backend.py": "buffers, devices, what they can do",
            "compiler.py": "takes programs as StableHLO; a stand-in, to be replaced",
        },
        "It runs on XLA. Put your compiler in the place of `compiler.py`, and drop portax-pjrt from `pyproject.toml`.",
    ),
}


class _Template(string.Template):
    """``%{name}``: dollars and braces are other languages' here."""

    delimiter = "%"
    braceidpattern = r"[A-Za-z]+"
    idpattern = r"(?!)"


def words_of(name: str, way: str) -> dict[str, str]:
    """What stands for the names in templates.

    Raises
    ------
    ArgumentError
        It cannot be the name of a backend.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ArgumentError(
            wrong=f"{name!r} cannot be the name of a backend",
            fix="Give small letters, digits and underscores, a letter first: mychip",
        )
    needs, files, walk = WAYS[way]
    return {
        "name": name,
        "package": f"portax_{name}",
        "distribution": "portax-" + name.replace("_", "-"),
        "Class": "".join(part.capitalize() for part in name.split("_")),
        "interface": ".".join(map(str, INTERFACE_VERSION)),
        "opset": str(OPSETS[1][0]),
        "dependencies": ", ".join(json.dumps(need) for need in needs),
        "files": "\n".join(f"| `{file}` | {says} |" for file, says in files.items()),
        "walk": walk,
    }


def files_of(name: str, way: str) -> Iterator[tuple[str, str]]:
    """The files of a driver's package: their paths in it, and what is in them."""
    words = words_of(name, way)
    for kind in ("common", way):
        for template in sorted((TEMPLATES / kind).rglob("*" + ENDING)):
            path = template.relative_to(TEMPLATES / kind).as_posix().removesuffix(ENDING)
            path = path.replace("PACKAGE", words["package"])
            # A file of that name would be read by the tools that look over portax itself.
            path = ".gitignore" if path == "gitignore" else path
            yield path, _Template(template.read_text("utf-8")).substitute(words)


def write(name: str, way: str, folder: Path) -> list[str]:
    """Write the package of a driver into a folder that is not there yet, or is empty; the files that it has.

    Raises
    ------
    ArgumentError
        The folder has something in it, or the name is none.
    """
    files = list(files_of(name, way))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArgumentError(wrong=f"{folder} is there already", fix="Give another folder with --folder, or remove it")
    for path, text in files:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [path for path, _ in files]


@click.command("new-backend")
@click.argument("name")
@click.option(
    "--way", type=click.Choice(list(WAYS)), default="eager", show_default=True,
    help="What you write: a table of functions of arrays; the spelling of a kernel language and a launcher; or what "
    "compiles StableHLO.",
)  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path), help="Where to (default: ./portax-NAME).")
def command(name: str, way: str, folder: Path | None) -> None:
    """Write the package of a driver for a new device, NAME.

    It runs as it is written, with NumPy, plain C or XLA in the place of your device.
    """
    try:
        folder = folder or Path(words_of(name, way)["distribution"])
        written = write(name, way, folder)
    except PortaxError as error:
        raise click.ClickException(f"{error.wrong}.\n    {error.fix}.") from error
    for path in written:
        click.echo(f"written: {folder / path}")
    click.echo(
        f"\nNext:\n    cd {folder}\n    pip install -e '.[test]'\n    portax doctor\n"
        f"    portax-conformance run --backend {name} --level L0 --full"
    )
