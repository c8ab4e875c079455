"""Every text of the source that a person may read, found by following where texts go.

A *sink* is a place in a call that takes a text: the first two of an error, the first of ``_``. An
argument is a literal, or a name with what was assigned to it on the way (``text += …`` too), or a
parameter: then that function's own calls are sinks in turn.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pizarra import errors
from pizarra.engine.fitness.findings import Level
from pizarra.model.facts import Power
from pizarra.model.outcome import Outcome
from pizarra.planner.reset import Step
from pizarra.service.commands.declaration import Who
from pizarra.service.views import Which

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pizarra"
SERVER = SOURCE / "server"
ERRORS = tuple(
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.PizarraError)
)
WORDS = ("verb", "what", "why")  # facts that are words of ours: see service.languages
Place = int | str  # of an argument: its position, or its keyword


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Which arguments of a call are texts; the second of a pair is the plural of the first."""

    places: tuple[Place, ...]
    plural: bool = False
    after: str = ""  # what the function adds to its parameter


SINKS: dict[str, tuple[Sink, ...]] = {
    **{name: (Sink(places=(0, 1, *WORDS)),) for name in ERRORS},
    "_": (Sink(places=(0,)),),
    "ngettext": (Sink(places=(0, 1), plural=True),),
    "N_": (Sink(places=(0,)),),
    "P_": (Sink(places=(0, 1), plural=True),),
    "Sentence": (Sink(places=(0, *WORDS)),),
    **{name: (Sink(places=("text",)),) for name in ("Finding", "Noted", "Trouble")},
    **{name: (Sink(places=("reason",)),) for name in ("MachinePlan", "SeatOutcome", "SeatPlan")},
    "Began": (Sink(places=("what",)),),
    "claiming": (Sink(places=(1,)),),
    "timing": (Sink(places=(0,)),),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A text, its plural or nothing, and where."""

    text: str
    plural: str
    where: str


@dataclass(slots=True)
class _Module:
    """One pass over one module with the sinks known so far."""

    path: str
    sinks: dict[str, tuple[Sink, ...]]
    found: list[Found] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    learnt: dict[str, tuple[Sink, ...]] = field(default_factory=dict)


_Known = dict[str, tuple[str, ...]]  # by the name in a function: what it may be
_Params = tuple[str, dict[str, tuple[Place, ...]]] | None  # of which function
SHOWN = (Level, Outcome, Power, Step, Which, Who)  # enumerations whose values are words
UNCLEAR, PARAMETER = "\0", "\1"  # a parameter is \1name\1, and what is added to it
FOR_TESTS = ("memory", "memory_host")  # drivers that a person never meets


def has_words(text: str) -> bool:
    """Whether something is left to translate when its placeholders are out."""
    return any(letter.isalpha() for letter in re.sub(r"{[^}]*}", "", text))


def modules() -> list[Path]:
    """Where people's words may be."""
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.stem not in FOR_TESTS and path.parent.name not in FOR_TESTS
    ]


def sentences() -> tuple[list[Found], list[str]]:
    """All texts, and the places whose text could not be told."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in modules()}
    sinks = dict(SINKS)
    private: dict[Path, dict[str, tuple[Sink, ...]]] = {path: {} for path in trees}
    while True:
        passes = [_passed(path, tree, sinks | private[path]) for path, tree in trees.items()]
        new = False
        for path, one in zip(trees, passes, strict=True):
            for name, sink in one.learnt.items():
                known = private[path] if name.startswith("_") else sinks
                fresh = tuple(s for s in sink if s not in known.get(name, ()))
                new |= bool(fresh)
                known[name] = (*known.get(name, ()), *fresh)
        if not new:
            words = [Found(str(value), "", one.__name__) for one in SHOWN for value in one]
            found = words + [found for one in passes for found in one.found]
            return found, [where for one in passes for where in one.unclear]


def _passed(path: Path, tree: ast.Module, sinks: dict[str, tuple[Sink, ...]]) -> _Module:
    if SERVER in path.parents:  # its words are in a catalogue of its own; its errors are here
        sinks = {name: sink for name, sink in sinks.items() if name not in ("_", "ngettext")}
    module = _Module(str(path.relative_to(ROOT)), sinks)
    constants: _Known = {}
    for node in tree.body:  # a function may use a constant that stands below it
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = _values(node.value, constants)
    _body(module, tree.body, constants, None)
    return module


def _body(module: _Module, body: Sequence[ast.stmt], known: _Known, of: _Params) -> _Known | None:
    """What is known after it; None when it never ends."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef):
            _function(module, statement, known)
            continue
        for call in _calls(statement):
            _call(module, call, known, of)
        if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
            return None
        _assigned(statement, known)
        blocks = [b for b in _blocks(statement) if b]
        if blocks:
            ends = [_body(module, block, dict(known), of) for block in blocks]
            if not (isinstance(statement, ast.If) and statement.orelse):
                ends.append(known)
            known = _merged([end for end in ends if end is not None]) or known
    return known


def _function(module: _Module, function: ast.FunctionDef, known: _Known) -> None:
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    shift = int(bool(names) and names[0] in ("self", "cls"))
    params: dict[str, tuple[Place, ...]] = {
        name: (index - shift, name) for index, name in enumerate(names)
    }
    params |= {arg.arg: (arg.arg,) for arg in function.args.kwonlyargs}
    inner = {**known, **{name: (f"{PARAMETER}{name}{PARAMETER}",) for name in params}}
    _body(module, function.body, inner, (function.name, params))


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """Those of the statement itself, not of the blocks in it."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from (node for node in ast.walk(child) if isinstance(node, ast.Call))


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for inner in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield inner.body


def _merged(ends: Sequence[_Known]) -> _Known:
    return {
        name: tuple(dict.fromkeys(text for end in ends for text in end.get(name, ())))
        for name in {name for end in ends for name in end}
    }


def _assigned(statement: ast.stmt, known: _Known) -> None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            known[name] = _values(value, known)
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            for one, value in zip(names, values, strict=False):
                if isinstance(one, ast.Name):
                    known[one.id] = _values(value, known)
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            known[name] = _sums(known.get(name, ()), _values(value, known))


def _sums(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    return tuple(a + b for a in left for b in right)


def _values(value: ast.expr, known: _Known) -> tuple[str, ...]:
    """All that it may be; nothing when that cannot be told; UNCLEAR for one put together here."""
    match value:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Name(id=name):
            return known.get(name, ())
        case ast.IfExp(body=one, orelse=other):
            return _values(one, known) + _values(other, known)
        case ast.BoolOp(values=several):
            return tuple(text for one in several for text in _values(one, known))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sums(_values(left, known), _values(right, known))
        case ast.JoinedStr(values=parts):
            letters = [p for p in parts if isinstance(p, ast.Constant) and has_words(str(p.value))]
            return (UNCLEAR,) if letters else ()
        case (
            ast.Call(func=ast.Name(id="str")) | ast.Call(func=ast.Attribute(attr="join" | "format"))
        ):
            return (UNCLEAR,)
    return ()


def _call(module: _Module, call: ast.Call, known: _Known, of: _Params) -> None:
    func = call.func
    name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
    where = f"{module.path}:{call.lineno}"
    for sink in module.sinks.get(name, ()):
        given = (_argument(call, place) for place in sink.places)
        texts = [_values(one, known) for one in given if one is not None]
        if name != "_" and any(UNCLEAR in one for one in texts):
            module.unclear.append(where)
        if not sink.plural:
            for text in (text for one in texts for text in one):
                _received(module, sink, text, where, of)
        elif len(texts) == 2:
            for one, many in zip(*texts, strict=True):
                if one.startswith(PARAMETER):
                    places = tuple(_parameter(text, of)[0][0] for text in (one, many))
                    _learnt(module, of, Sink(places=places, plural=True))
                else:
                    module.found.append(Found(one, many, where))


def _received(module: _Module, sink: Sink, text: str, where: str, of: _Params) -> None:
    if text.startswith(PARAMETER):
        places, after = _parameter(text, of)
        _learnt(module, of, Sink(places=places, after=after + sink.after))
    elif has_words(text) and text != UNCLEAR:
        module.found.append(Found(text + sink.after, "", where))


def _parameter(text: str, of: _Params) -> tuple[tuple[Place, ...], str]:
    """Where the function gets it, and what was added."""
    assert of is not None, "only a function has parameters"
    _, name, after = text.split(PARAMETER)
    return of[1].get(name, (name,)), after


def _learnt(module: _Module, of: _Params, sink: Sink) -> None:
    assert of is not None, "only a function has parameters"
    module.learnt[of[0]] = (*module.learnt.get(of[0], ()), sink)


def _argument(call: ast.Call, place: Place) -> ast.expr | None:
    if isinstance(place, str):
        return next((one.value for one in call.keywords if one.arg == place), None)
    before = call.args[: place + 1]
    spread = any(isinstance(one, ast.Starred) for one in before)
    return None if place >= len(call.args) or spread else call.args[place]
