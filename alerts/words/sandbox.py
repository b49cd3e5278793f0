"""Templates that a tenant writes: Jinja2 in its sandbox, cut down until whatever is written ends soon and stays small.

A template may print values, ask conditions and loop over the problems and lines of a ticket. It calls nothing, computes
nothing and sets nothing, so its work is bounded by its own length times the rounds of its loops, which are counted.
Values are plain text and are never looked into for further templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

SUBJECT_LIMIT = 500
SOURCE_LIMIT = 20_000
OUTPUT_LIMIT = 250_000
#: Rounds of all loops of one letter together: every line of every problem has its place in it.
ROUNDS = 2_000
DEPTH = 40
_TAG = re.compile(r"\{%[^{}]*%\}")
_LAST_TAG = re.compile(r"(\{%(?![-+]?\s*(?:end)?raw\b)[^{}]*(?<![-+]))%\}$")
_BUDGET = "rounds left"

#: Filters that never make a text much longer than it was; ``join`` is ours.
KNOWN_FILTERS = ("capitalize", "default", "e", "escape", "first", "join", "last", "length", "lower", "title", "trim",
                 "truncate", "upper")  # fmt: skip
_LOOP = frozenset({"first", "index", "index0", "last", "length", "revindex"})
_TESTS = frozenset({"defined", "eq", "equalto", "ne"})
_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Keyword,
)  # fmt: skip
_ALONE = "A template stands alone: it includes, extends and imports nothing"
_SAID: dict[type[nodes.Node], str] = {
    nodes.Call: "Nothing can be called in a template",
    nodes.Assign: "Nothing can be set in a template",
    nodes.Concat: "Write two values side by side, {{ a }}{{ b }}, instead of joining them by ~",
    nodes.BinExpr: "A template does not compute",
    nodes.Include: _ALONE,
    nodes.Import: _ALONE,
    nodes.FromImport: _ALONE,
    nodes.Extends: _ALONE,
}


class BadTemplate(Exception):
    """What is wrong with a template, as a sentence; ``line`` counts from 1, 0 where no line is to blame."""

    def __init__(self, reason: str, *, line: int = 0) -> None:
        self.reason = reason if not line else f"Line {line}: {reason}"
        self.line = line
        super().__init__(self.reason)


@dataclass
class _Budget:
    rounds: int = ROUNDS


@pass_context
def _counted(context: Context, items: object) -> Iterator[object]:
    """The items of a loop, each round paid for. A text is no list."""
    budget: _Budget = context[_BUDGET]
    if isinstance(items, str) or not isinstance(items, list | tuple):
        raise BadTemplate("A loop goes over a list: problems, lines or further.")
    for item in items:
        budget.rounds -= 1
        if budget.rounds < 0:
            raise BadTemplate(f"The loops go more than {ROUNDS:,} rounds.")
        yield item


def _join(items: object, between: str = "") -> str:
    if isinstance(items, str) or not isinstance(items, list | tuple):
        raise BadTemplate("join takes a list: lines or further.")
    joined = between.join(str(item) for item in items)
    if len(joined) > OUTPUT_LIMIT:
        raise BadTemplate(f"The text is longer than {OUTPUT_LIMIT:,} characters.")
    return joined


class _Sandbox(ImmutableSandboxedEnvironment):
    """Looks into our own lists and tables alone, never into an object's Python."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        is_there = isinstance(obj, dict) or (isinstance(obj, list | tuple) and isinstance(argument, int))
        found = super().getitem(obj, argument) if is_there else self.undefined()
        named = f"item {argument}" if isinstance(argument, int) else f"“{argument}”"
        return self.undefined(hint=f"There is no {named} here") if isinstance(found, Undefined) else found


def _printable(value: object) -> object:
    """What may stand in a letter: texts and numbers."""
    if isinstance(value, str | int | float | Undefined):
        return value
    raise BadTemplate("A list cannot be printed as it is: loop over it, or use join.")


def _default(value: object, instead: object = "") -> object:
    """What stands instead of a value that is empty or not there."""
    return instead if isinstance(value, Undefined) or value in ("", [], ()) else value


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    environment = _Sandbox(
        undefined=StrictUndefined,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
        finalize=_printable,
    )
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in KNOWN_FILTERS}
    environment.filters |= {"default": _default, "join": _join, "counted loop": _counted}
    return environment


TEXT, HTML = _environment(autoescape=False), _environment(autoescape=True)


def check_template(source: str, *, names: Iterable[str], html: bool = False, loops: bool = True) -> None:
    """Raises BadTemplate for what cannot be read, is not allowed, or asks for a name that there is not."""
    _compiled(source, tuple(sorted(names)), html=html, loops=loops)


def render(source: str, values: Mapping[str, Any], *, html: bool = False, loops: bool = True) -> str:
    """The template filled in. Raises BadTemplate, also where the result is too long; never anything else."""
    template = _compiled(source, tuple(sorted(values)), html=html, loops=loops)
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**values, _BUDGET: _Budget()}):
            length += len(piece)
            if length > OUTPUT_LIMIT:
                raise BadTemplate(f"The text is longer than {OUTPUT_LIMIT:,} characters.")
            pieces.append(piece)
    except BadTemplate as error:
        raise error if error.line else BadTemplate(error.reason, line=_line_of(error)) from error
    except TemplateError as error:
        raise BadTemplate(_sentence(error), line=_line_of(error)) from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadTemplate(f"It cannot be filled in: {error}.", line=_line_of(error)) from error
    return "".join(pieces)


@lru_cache(maxsize=256)
def _compiled(source: str, names: tuple[str, ...], *, html: bool, loops: bool) -> Any:
    environment = HTML if html else TEXT
    try:
        tree = environment.parse("\n".join(_with_its_end(line) for line in _checked_length(source).split("\n")))
        _check_nodes(tree, frozenset(names), loops=loops)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted loop", [], [], None, None, lineno=loop.lineno)
        return environment.from_string(tree)
    except TemplateSyntaxError as error:
        raise BadTemplate(_sentence(error), line=error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
        raise BadTemplate("It is nested too deeply or holds a number that is too large.") from error


def _checked_length(source: str) -> str:
    if len(source) > SOURCE_LIMIT:
        raise BadTemplate(f"A template has at most {SOURCE_LIMIT:,} characters.")
    return source


def _with_its_end(line: str) -> str:
    """A line with words in it keeps its end where a tag stands last; a line of tags alone leaves nothing behind."""
    words = _TAG.sub("", line).strip()
    return _LAST_TAG.sub(r"\1+%}", line) if words else line.rstrip()


def _check_nodes(tree: nodes.Template, names: frozenset[str], *, loops: bool) -> None:
    """Walk through everything that is written, with the names that are known at each place."""
    waiting: list[tuple[nodes.Node, frozenset[str], int]] = [(tree, names, 0)]
    while waiting:
        node, known, depth = waiting.pop()
        _check_node(node, known, depth=depth, loops=loops)
        within = known
        if isinstance(node, nodes.For):
            within = known | {name.name for name in node.target.find_all(nodes.Name)} | {"loop"}
            if isinstance(node.target, nodes.Name):
                within |= {node.target.name}
        waiting += [(child, within, depth + 1) for child in node.iter_child_nodes()]


def _check_node(node: nodes.Node, known: frozenset[str], *, depth: int, loops: bool) -> None:
    line = node.lineno or 0
    if depth > DEPTH:
        raise BadTemplate("It is nested too deeply.", line=line)
    if not isinstance(node, _NODES):
        raise BadTemplate(f"{_refusal(node)}.", line=line)
    if isinstance(node, nodes.For) and (not loops or node.recursive):
        raise BadTemplate("There are no loops here." if not loops else "A loop cannot be recursive.", line=line)
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in known:
        raise BadTemplate(f"There is no value “{node.name}”. Known are: {', '.join(sorted(known))}.", line=line)
    if isinstance(node, nodes.Filter) and node.name not in KNOWN_FILTERS:
        known_ones = ", ".join(KNOWN_FILTERS)
        raise BadTemplate(f"There is no filter “{node.name}”. Known are: {known_ones}.", line=line)
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        raise BadTemplate(f"There is no test “{node.name}”.", line=line)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise BadTemplate(f"There is no “{node.attr}”.", line=line)


def _refusal(node: nodes.Node) -> str:
    for kind in type(node).__mro__:
        if kind in _SAID:
            return _SAID[kind]
    return f"“{type(node).__name__}” has no place in a letter: values, if and for do"


def _sentence(error: TemplateError) -> str:
    said = str(error.message or "it cannot be read").strip().rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."


def _line_of(error: BaseException) -> int:
    """The template's own line in the traceback of a failure while it was filled in; Jinja puts it there."""
    line, step = 0, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = step.tb_lineno
        step = step.tb_next
    return line
