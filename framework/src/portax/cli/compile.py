"""``portax compile``: a function of a script, compiled for devices that need not be here, and what the compiler tells.

The script is run with the target's first device as the default one, so ``portax.devices()`` are the target's, and
meshes and shardings of a script lie on them. Nothing runs there: small operations outside of jitted functions are
done by NumPy, as on every device whose values are in the host's memory.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import portax
from portax.cli.scripts import arguments_of, function_in, raised
from portax.errors import PortaxError
from portax.runtime import targets

__all__ = ["Report", "command", "report", "show"]

#: What a report calls the fields of a driver's memory analysis.
MEMORY = {
    "arguments": "argument_size_in_bytes",
    "results": "output_size_in_bytes",
    "shared by both": "alias_size_in_bytes",
    "temporaries": "temp_size_in_bytes",
    "code": "generated_code_size_in_bytes",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """What is known of a program that was compiled and not run.

    Attributes
    ----------
    function, target, kind : str
        What was compiled, for what, and what its maker calls the device.
    devices : int
        How many the program runs on.
    lowering, compiling : float
        Seconds they took here.
    memory : dict of str to int
        Bytes on each device. Empty where the compiler does not tell, and so for what follows.
    flops, accessed : float or None
        Operations on each device, and bytes that it moves.
    predicted : float or None
        Seconds a call takes on the device, by the compiler's model of it.
    collectives : dict of str to (int, int)
        By kind: how many stand in the program, and bytes of their results on each device.
    steps : list of str
        What is computed together and what that reads and writes, where the driver tells: the kernels that were written.
    text : str
        The optimised program.
    """

    function: str
    target: str
    kind: str
    devices: int
    lowering: float
    compiling: float
    memory: dict[str, int]
    flops: float | None
    accessed: float | None
    predicted: float | None
    collectives: dict[str, tuple[int, int]]
    steps: list[str]
    text: str

    def plain(self) -> dict[str, Any]:
        """All but the text, as JSON has it."""
        fields = dataclasses.asdict(self)
        del fields["text"]
        fields["collectives"] = {k: {"count": n, "bytes": b} for k, (n, b) in self.collectives.items()}
        return fields


def report(spec: str, target: str, written: str | None = None) -> Report:
    """Compile the function that ``SCRIPT:FUNCTION`` names for a target.

    Parameters
    ----------
    spec : str
    target : str
        ``kind:name``, or the name of a backend that has devices here.
    written : str, optional
        Shapes and dtypes of the arguments; else they are the function's ``example_args``.
    """
    backend = targets.backend_for(target)
    with portax.default_device(backend.devices()[0]):
        function: Any = function_in(spec)
        arguments = arguments_of(function, written)
        jitted = function if hasattr(function, "trace") else portax.jit(function)
        name = getattr(function, "__name__", spec.rpartition(":")[2])
        began = time.perf_counter()
        try:
            lowered = jitted.trace(*arguments).lower()
        except PortaxError:
            raise
        except Exception as error:
            raise raised(f"{name}, when it was traced,", error) from error
        written_at = time.perf_counter()
        executable: Any = lowered.compile().runtime_executable()
        done = time.perf_counter()
    costs, memory = executable.cost_analysis(), executable.memory_analysis()
    return Report(
        function=name,
        target=target,
        kind=executable.devices[0].kind,
        devices=len(executable.devices),
        lowering=written_at - began,
        compiling=done - written_at,
        memory={} if memory is None else {k: int(getattr(memory, field)) for k, field in MEMORY.items()},
        flops=costs.get("flops"),
        accessed=costs.get("bytes accessed"),
        predicted=costs.get("optimal_seconds"),
        collectives=dict(executable.collectives()),
        steps=executable.report().splitlines(),
        text=executable.text(),
    )


def in_bytes(n: float) -> str:
    """A size for people.

    Examples
    --------
    >>> in_bytes(1536), in_bytes(12)
    ('1.5 KiB', '12 B')
    """
    power = 0 if n < 1 else min(int(math.log2(n)) // 10, 4)
    return f"{n:.0f} B" if not power else f"{n / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def in_seconds(t: float) -> str:
    """A duration for people.

    Examples
    --------
    >>> in_seconds(0.0000123)
    '12.3 us'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if t >= size:
            return f"{t / size:.1f} {unit}"
    return f"{t / 1e-9:.0f} ns"


def show(found: Report, console: Console) -> None:
    """Print a report for a person."""
    many = f"{found.devices} devices, {found.kind}" if found.devices > 1 else found.kind
    console.print(f"{found.function} for {found.target} ({many})", highlight=False, markup=False, style="bold")
    console.print(
        f"lowered in {in_seconds(found.lowering)}, compiled in {in_seconds(found.compiling)}; it did not run",
        highlight=False,
    )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for name, size in found.memory.items():
        if size or name in ("arguments", "results", "temporaries"):
            table.add_row("memory of " + name if name != "shared by both" else "memory shared by both", in_bytes(size))
    if found.flops is not None:
        table.add_row("operations", f"{found.flops:.4g}")
    if found.accessed is not None:
        table.add_row("memory moved", in_bytes(found.accessed))
    if found.predicted is not None:
        table.add_row("predicted time of a call", in_seconds(found.predicted))
    for kind, (count, size) in sorted(found.collectives.items()):
        table.add_row(kind, f"{count} in the program, {in_bytes(size)} of results")
    console.print(table)
    for line in found.steps:
        console.print(line, highlight=False, markup=False)
    if found.devices > 1:
        console.print("Figures are those of one device.", highlight=False)


@click.command("compile")
@click.argument("function", metavar="SCRIPT:FUNCTION")
@click.option("--target", required=True, help="What to compile for: cpu, tpu:v5e:2x2, cuda:sm_90, ...")
@click.option("--args", "written", metavar="SHAPES", help="Shapes of the arguments, 'f32[8,16],i32[8]'.")
@click.option(
    "--hlo",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="Write the optimised program there; - prints it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(function: str, target: str, written: str | None, hlo: str | None, as_json: bool) -> None:
    """Compile a function of a script for a device that need not be here, and say what the compiler tells of it.

    FUNCTION is compiled for the shapes in --args, or for those of the arguments in its attribute example_args: a
    tuple, or a function that gives one.
    """
    try:
        found = report(function, target, written)
    except PortaxError as error:
        raise click.ClickException(f"{error.wrong}.\n    {error.fix}.") from error
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2))
    else:
        show(found, Console())
    if hlo == "-":
        click.echo(f"\n{found.text}")
    elif hlo:
        Path(hlo).write_text(found.text, encoding="utf-8")


@click.command("targets")
def list_targets() -> None:
    """List what portax compile can compile for."""
    for name in targets.offered():
        click.echo(name)
