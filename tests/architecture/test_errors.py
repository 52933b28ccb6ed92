"""Every error says what was wrong and how to mend it, and some test reads its words.

Read from the syntax trees. An error's words are the pieces of its ``wrong`` and ``fix`` that are written out; a test
reads them if one of its strings, or the words of a ``Refusal``, shares `ENOUGH` characters in a row with a piece. That
is less than proof that the test meets this very line, and enough to find the lines that nobody has ever seen fail.

What no test reads yet is listed in ``unread_errors.txt``, strictly: a line there that is read, or gone, fails. Add a
line to ``framework/tests/test_refusals.py`` for an error of yours, or a ``Refusal`` to its primitive.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portax import errors

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("*/src/**/*.py"), *ROOT.glob("backends/*/src/**/*.py")])
TESTS = sorted([
    *ROOT.glob("*/tests/**/*.py"), *ROOT.glob("backends/*/tests/**/*.py"), *ROOT.glob("tests/**/*.py"),
    ROOT / "conformance" / "src" / "portax_conformance" / "test_laws.py",
])  # fmt: skip
UNREAD = Path(__file__).with_name("unread_errors.txt")

#: Characters in a row that a test and an error must share; where pieces are shorter, how many there must be in all.
ENOUGH, FEW = 12, 8
CLASSES = {
    name: kind for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, errors.PortaxError)
}  # fmt: skip
#: Errors that say something else, or more, and that have parameters of their own for it.
OF_THEIR_OWN = {
    name for name, kind in CLASSES.items()
    if not {"wrong", "fix"} <= set(inspect.signature(kind).parameters)
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """One place in the source where an error is made."""

    path: Path
    line: int
    error: str
    given: frozenset[str | None]
    pieces: tuple[str, ...]
    """What is written out of ``wrong``, and then of ``fix``, in order."""
    wrong: str
    """``wrong`` with ``{}`` in place of what is filled in."""

    @property
    def name(self) -> str:
        return f"{self.path.relative_to(ROOT).as_posix()}: {self.error}: {self.wrong}"


def written(node: ast.AST | None) -> Iterator[str | None]:
    """The pieces of a text in order, None for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from written(part)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from written(left)
            yield from written(right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from written(body)
            yield None
            yield from written(orelse)
        case ast.FormattedValue(value=ast.IfExp() as chosen):
            yield from written(chosen)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)))):  # "...".join, "...".format
            yield text
            yield None
        case _:
            yield None


def joined(node: ast.AST | None) -> list[str]:
    """The pieces of a text, those side by side made one."""
    out = [""]
    for piece in written(node):
        if piece is None:
            out.append("")
        else:
            out[-1] += piece
    return out


def made(path: Path, tree: ast.AST) -> Iterator[Made]:
    """The errors made in a file."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in CLASSES:
            continue
        given = {k.arg: k.value for k in node.keywords}
        wrong, fix = joined(given.get("wrong")), joined(given.get("fix"))
        text = " ".join("{}".join(wrong).split())
        yield Made(path, node.lineno, name, frozenset(given), tuple(p for p in (*wrong, *fix) if p), text)


def docstrings(tree: ast.AST) -> set[ast.AST]:
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


def expectations() -> Iterator[str]:
    """The strings of tests, and the words of refusals."""
    for path in TESTS:
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        prose = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
                yield node.value
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal" and len(node.args) == 3:
                yield from (piece for piece in written(node.args[2]) if piece)


def runs(text: str) -> set[str]:
    """All stretches of `ENOUGH` characters; what escapes in a pattern, and how lines break, does not count."""
    text = " ".join(text.replace("\\", "").split())
    return {text[i : i + ENOUGH] for i in range(len(text) - ENOUGH + 1)}


ALL = [m for path in SOURCES if path.name != "errors.py" for m in made(path, ast.parse(path.read_text("utf-8")))]


def reads(known: set[str], strings: list[str], m: Made) -> bool:
    """Whether some test reads an error's words: a run of them, or where they are few, all of ``wrong`` in order."""
    if any(not known.isdisjoint(runs(piece)) for piece in m.pieces):
        return True
    pieces = [re.escape(" ".join(p.split())) for p in m.wrong.split("{}")]
    if sum(map(len, pieces)) < FEW:
        return False
    pattern = re.compile(".+".join(pieces))
    return any(pattern.search(text) for text in strings)


@pytest.fixture(scope="module")
def read():
    strings = list(expectations())
    known = set().union(*map(runs, strings))
    return lambda m: reads(known, strings, m)


def test_every_error_says_what_was_wrong_and_how_to_mend_it():
    silent = [
        f"{m.path.relative_to(ROOT)}:{m.line}: {m.error}"
        for m in ALL
        if m.error not in OF_THEIR_OWN and not {"wrong", "fix"} <= m.given and None not in m.given
    ]
    assert not silent, "\n".join(silent)


def test_a_test_reads_the_words_of_every_error(read):
    unread = {m.name for m in ALL if m.error not in OF_THEIR_OWN and not read(m)}
    listed = {line for line in UNREAD.read_text("utf-8").splitlines() if line and not line.startswith("#")}
    new, gone = sorted(unread - listed), sorted(listed - unread)
    assert not new, "no test reads the words of:\n" + "\n".join(new)
    assert not gone, f"read now, or gone: take them off {UNREAD.name}:\n" + "\n".join(gone)


# The scan can fail.


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('raise ShapeError(wrong="a b", fix="c")', "a b"),
        ('raise errors.ShapeError(wrong=f"a {x} b" " c", fix="d")', "a {} b c"),
        ('raise ShapeError(wrong="a" + f"{x}" + "b", fix="d")', "a{}b"),
        ('raise ShapeError(wrong=text, fix="d")', "{}"),
    ],
)
def test_the_words_of_an_error_are_found(source, wrong):
    [m] = made(Path(__file__), ast.parse(source))
    assert m.wrong == wrong


def test_an_error_that_says_nothing_is_seen():
    [m] = made(Path(__file__), ast.parse("raise ShapeError('no')"))
    assert not {"wrong", "fix"} <= m.given


def test_words_that_no_test_has_are_seen(read):
    def of(text):
        return Made(Path(__file__), 1, "ShapeError", frozenset(), tuple(p for p in text.split("{}") if p), text)

    assert not read(of("no test has these words, since this file is not read"))
    assert not read(of("{} zq {} zx {} qz"))
    assert read(of("lax.{} {} switch was given no branches"))
    assert read(of("{} has step 0"))


def test_all_of_the_source_is_looked_at():
    assert len(ALL) > 400
    assert {m.path.parts[-2] for m in ALL} >= {"core", "numpy", "primitives", "runtime", "portax_cpu", "portax_pjrt"}
