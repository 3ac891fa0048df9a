"""One small change of a program at a time: every mutant of a source text. Pure.

A mutant is an edit of the text, so its difference is what a person would have typed. Left out is what cannot be told
from the original by any test or is no behaviour: annotations, decorators, docstrings and words in sentences.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "is": ("is not",), "is not": ("is",), "in": ("not in",), "not in": ("in",),
}  # fmt: skip
ARITHMETIC = {
    "+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*", "|": "&", "&": "|", "^": "&",
    "<<": ">>", ">>": "<<",
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
Position = tuple[int, int]  # line from 1, bytes from 0, as the syntax tree counts
_Change = tuple[Position, Position, str]


@dataclass(frozen=True)
class Mutant:
    """One edit: the module's name, the first line it changes, that line before, and all of the text after.

    `before` and `after` are the changed lines without what surrounds them; `function` is where they are, empty outside
    of functions, where a change acts as soon as the module is imported.
    """

    module: str
    line: int
    before: str
    after: str
    function: str
    text: str

    @property
    def key(self) -> str:
        """Return what tells this mutant from every other one of the same text."""
        return f"{self.module}:{self.line}: {self.before.strip()} -> {self.after.strip()}"


@dataclass(frozen=True)
class _Edit:
    start: Position
    end: Position
    instead: str
    function: str


def mutants(module: str, source: str, offset: int = 0) -> list[Mutant]:
    """Return every mutant of a text that begins behind line `offset` of its file, in the order of its lines.

    Raises SyntaxError for what is no Python.
    """
    lines = source.encode().splitlines(keepends=True)
    edits = dict.fromkeys(_Finder(ast.parse(source), source).edits())
    return [
        _made(module, lines, edit, offset)
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end, edit.instead))
    ]


def _made(module: str, lines: Sequence[bytes], edit: _Edit, offset: int) -> Mutant:
    (first, start), (last, end) = edit.start, edit.end
    touched = lines[first - 1 : last]
    changed = lines[first - 1][:start] + edit.instead.encode() + lines[last - 1][end:]
    text = b"".join([*lines[: first - 1], changed, *lines[last:]]).decode()
    before, after = b"".join(touched).decode().rstrip("\n"), changed.decode().rstrip("\n")
    return Mutant(module, offset + first, before, after, edit.function, text)


class _Finder:
    """Walks a tree once and remembers the function it is in."""

    def __init__(self, tree: ast.Module, source: str) -> None:
        self._tree = tree
        self._operators = [
            token
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type in (tokenize.OP, tokenize.NAME)
        ]
        self._lines = source.splitlines()

    def edits(self) -> Iterator[_Edit]:
        """Yield every edit."""
        for node, function in _walk(self._tree, ""):
            for start, end, instead in self._of(node):
                yield _Edit(start, end, instead, function)

    def _of(self, node: ast.AST) -> Iterator[_Change]:
        match node:
            case ast.Compare():
                yield from self._compare(node)
            case ast.BinOp():
                yield from self._between(node.left, node.right, ARITHMETIC)
            case ast.AugAssign():
                table = {f"{before}=": f"{after}=" for before, after in ARITHMETIC.items()}
                yield from self._between(node.target, node.value, table)
                yield (*_span(node), "pass")
            case ast.BoolOp():
                yield from self._connective(node)
            case _:
                yield from _plain(node)

    def _compare(self, node: ast.Compare) -> Iterator[_Change]:
        for left, right in pairwise([node.left, *node.comparators]):
            found = self._tokens(_span(left)[1], _start(right))
            words = [token for token in found if token.string in {*COMPARISONS, "not"}]
            if not words:
                continue
            operator = " ".join(word.string for word in words)
            for instead in COMPARISONS.get(operator, ()):
                yield self._bytes(words[0].start), self._bytes(words[-1].end), instead

    def _between(self, left: ast.expr, right: ast.expr, table: dict[str, str]) -> Iterator[_Change]:
        for token in self._tokens(_span(left)[1], _start(right)):
            if token.string in table:
                yield self._bytes(token.start), self._bytes(token.end), table[token.string]

    def _connective(self, node: ast.BoolOp) -> Iterator[_Change]:
        """Yield the other connective at each place."""
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            for token in self._tokens(_span(left)[1], _start(right)):
                if token.string == word:
                    yield self._bytes(token.start), self._bytes(token.end), other

    def _tokens(self, start: Position, end: Position) -> list[tokenize.TokenInfo]:
        return [
            token
            for token in self._operators
            if start <= self._bytes(token.start) and self._bytes(token.end) <= end
        ]

    def _bytes(self, position: Position) -> Position:
        """Return a token's place, which counts characters, in bytes."""
        line, column = position
        return line, len(self._lines[line - 1][:column].encode()) if line <= len(self._lines) else column


def _plain(node: ast.AST) -> Iterator[_Change]:
    """Yield the changes that need no look at the text."""
    match node:
        case ast.UnaryOp(op=ast.Not() | ast.USub() as sign, operand=operand):
            (line, column), width = _start(node), 4 if isinstance(sign, ast.Not) else 1
            whole = _start(operand) == (line, column + width)  # a bracket between them stays
            yield (line, column), (line, column + width if whole else column + min(width, 3)), ""
        case ast.Constant():
            yield from ((*_span(node), instead) for instead in _constants(node.value))
        case ast.Return(value=value) if value is not None and not _is_false(value):
            yield (*_span(value), "None")
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SWAPPED:
            end = _span(node.func)[1]
            yield (end[0], end[1] - len(name)), end, SWAPPED[name]
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield from _negated(test)
        case ast.comprehension(ifs=tests):
            yield from (change for test in tests for change in _negated(test))
        case ast.stmt() if _may_be_left_out(node):
            yield (*_span(node), "pass")


def _may_be_left_out(statement: ast.stmt) -> bool:
    """Tell whether the statement has an effect, and the program still makes sense without it."""
    match statement:
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            return True
        case ast.Raise() | ast.Delete() | ast.Break() | ast.Continue():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            return True
    return False


def _negated(test: ast.expr) -> Iterator[_Change]:
    """Yield the opposite of a condition that has no operator to change."""
    if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant | ast.NamedExpr):
        yield _start(test), _start(test), "not "


def _constants(value: object) -> tuple[str, ...]:
    """Return what stands in for a number or a truth: one more and one less, a share twice and half of it."""
    match value:
        case bool():
            return (str(not value),)
        case float() if not value.is_integer():
            return repr(value * 2), repr(value / 2)
        case int() | float():
            return repr(value + 1), repr(value - 1) if value >= 1 else f"({value - 1!r})"
    return ()


def _walk(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield what has behaviour, and the dotted name of the function it is in."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_left_out(child):
                continue
            # What a parameter is without an argument is settled when its function is defined.
            inner = "" if isinstance(child, ast.arguments) else function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = child.name
            yield child, function
            yield from _walk(child, inner)


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr():  # words, and until Python 3.12 the tree misplaces what is in them
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return False


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _start(node: ast.expr | ast.stmt) -> Position:
    return node.lineno, node.col_offset


def _span(node: ast.expr | ast.stmt) -> tuple[Position, Position]:
    return _start(node), (node.end_lineno or node.lineno, node.end_col_offset or 0)
