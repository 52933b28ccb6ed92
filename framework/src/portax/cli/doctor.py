"""``portax doctor``: what is installed, what works, and what to type about the rest.

Plugins are probed in processes of their own, so the report is complete even when one of them hangs or ends its process.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from portax.runtime import ready
from portax.runtime.cache import DiskCache, cache_folder, disk_cache
from portax.runtime.discovery import wanted_backends
from portax.runtime.plugins import Plugin, Plugins, Probe, State, probe


@dataclasses.dataclass(frozen=True)
class Finding:
    """One backend, as doctor sees it.

    ``verdict`` is ``'works'``, ``'no device'``, or what is wrong: refused, raises, hangs, crashes.
    """

    name: str
    distribution: str
    version: str
    priority: int
    verdict: str
    devices: tuple[str, ...] = ()
    detail: str = ""
    fix: str = ""
    seconds: float = 0.0
    output: str = ""
    about: str = ""

    @property
    def healthy(self) -> bool:
        return self.verdict in ("works", "no device")


def examine(plugins: Plugins, limit: float) -> list[Finding]:
    """Probe every plugin that fits this portax, and report on the others as they are."""
    findings = [_finding(plugins, name, plugin, limit) for name, plugin in plugins.found.items()]
    for name in plugins.builtin:
        if name not in plugins.found:
            devices = tuple(f"{d!r}  {d.kind}" for d in plugins.open(name).devices())
            findings.append(Finding(name, "portax", plugins.host.version, 0, "works", devices))
    return findings


def _finding(plugins: Plugins, name: str, plugin: Plugin, limit: float) -> Finding:
    who = (name, plugin.distribution, plugin.version, plugin.priority)
    if plugin.state is State.REFUSED:
        return Finding(*who, "refused", detail=plugin.problem, fix=plugin.fix)
    seen: Probe = probe(plugin, plugins.host, limit, plugins.path)
    if seen.verdict in ("works", "no device"):
        plugins.forgive(name)
    return Finding(*who, seen.verdict, seen.devices, seen.detail, seen.fix, seen.seconds, seen.output, seen.about)


def report(plugins: Plugins, limit: float) -> dict[str, Any]:
    """All that doctor knows, as plain data."""
    findings = examine(plugins, limit)
    return {
        "portax": plugins.host.version,
        "interface": str(plugins.host.interface),
        "opset": str(plugins.host.opset),
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "default": _default(findings),
        "settings": {k: v for k, v in sorted(os.environ.items()) if k.startswith("PORTAX_")},
        "cache": _cache(disk_cache()),
        "calls": {"in_c": ready.compiled is not None, "why_not": ready.why_not},
        "backends": [dataclasses.asdict(finding) for finding in findings],
    }


def _default(findings: list[Finding]) -> str:
    """The backend a new process would use, by what the probes saw."""
    usable = {f.name for f in findings if f.verdict == "works"}
    return next((n for n in wanted_backends() or [f.name for f in findings] if n in usable), "")


def _cache(cache: DiskCache | None) -> dict[str, Any]:
    if cache is None:
        return {"on": False, "folder": str(cache_folder() / "compiled")}
    return {"on": True, "folder": str(cache.folder), "entries": len(cache), "bytes": cache.size(), "limit": cache.limit}


def show(data: dict[str, Any], console: Console, verbose: bool) -> None:
    """Print a report for a person."""
    console.print(f"portax {data['portax']}  (interface {data['interface']}, opset {data['opset']})", highlight=False)
    console.print(f"Python {data['python']} on {data['system']}", highlight=False)
    console.print(_cache_line(data["cache"]), highlight=False, soft_wrap=True)
    if not data["calls"]["in_c"]:
        console.print(_calls_line(data["calls"]), highlight=False, markup=False, soft_wrap=True)
    for name, value in data["settings"].items():
        console.print(f"{name}={value}", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(1, 3, 0, 0))
    for title in ("backend", "from", "verdict", "devices"):
        table.add_column(title, overflow="fold")
    for f in data["backends"]:
        colour = {"works": "green", "no device": "yellow"}.get(f["verdict"], "red")
        name = f["name"] + (" (default)" if f["name"] == data["default"] else "")
        source, devices = f"{f['distribution']} {f['version']}", "\n".join(f["devices"])
        source += f"\n{f['about']}" if f["about"] else ""
        table.add_row(name, source, f"[{colour}]{f['verdict']}[/]", devices)
    console.print(table)
    for f in data["backends"]:
        if f["detail"]:
            # Unwrapped, so that a line can be copied and searched for.
            console.print(f"\n[bold]{f['name']}[/]: {f['verdict']}", highlight=False)
            console.print(f"    {f['detail']}", highlight=False, markup=False, soft_wrap=True)
            if f["fix"]:
                console.print(f"    To mend it: {f['fix']}", highlight=False, markup=False, soft_wrap=True)
            if verbose and f["output"]:
                console.print(f["output"], highlight=False, markup=False, soft_wrap=True)
    if not data["default"]:
        console.print("\nNo backend works: PORTAX_PLATFORMS names none of those that do.", style="red")


def _cache_line(cache: dict[str, Any]) -> str:
    if not cache["on"]:
        return "compile cache: off (PORTAX_CACHE)"
    used, limit = cache["bytes"] / 2**20, cache["limit"] / 2**20
    return f"compile cache: {cache['folder']} ({cache['entries']} entries, {used:.1f} of {limit:.0f} MiB)"


def _calls_line(calls: dict[str, Any]) -> str:
    return (
        f"calls of jitted functions: in Python, about 2 microseconds slower than in C ({calls['why_not']})\n"
        "    To mend it: install a C compiler and Python's headers, then portax again"
    )
