"""Templates of the error messages in the source: the English texts, with numbered blanks in the place of values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import ratui
from ratui.errors import RatuiError

__all__ = ["app_modules", "find_templates"]

ROOT = Path(ratui.__file__).parent
_FOLDERS = (
    "study",
    "imaging",
    "files.py",
    "bounded_parsing.py",
    "tui",
    "scheme",
    "terminal",
    "regions",
    "reading",
    "results/adjudication.py",
)
_COMMAND_LINE_ONLY = (
    "study/activity.py",
    "study/copies/archive_limits.py",
    "study/campaign/audit.py",
    "study/copies/backup.py",
    "study/campaign/charter_changes.py",
    "study/check/",
    "study/evidence/",
    "study/copies/foreign_copy.py",
    "study/importing/",
    "study/copies/merge",
    "study/copies/package.py",
    "study/campaign/rater_changes.py",
    "study/campaign/repeat",
    "study/campaign/reading_blocks.py",
    "study/copies/restore.py",
    "study/campaign/study_closing.py",
    "study/copies/upgrade.py",
    "study/withdrawal.py",
)
_MESSAGES = {
    "unreadable_reason",
    "find_problems",
    "find_log_problems",
    "_find_slot_problems",
    "_find_order_problems",
    "_find_contradiction",
    "_find_undo_contradiction",
}
"""Functions that return texts, or lists of texts, which error messages contain."""
_REASONS = {"find_contradiction", "find_other_content"}
"""Functions that return one text which error messages contain."""
_BLANK = "\0"


def app_modules() -> list[Path]:
    """Return the modules that raise errors which can be seen inside the app."""
    files = [
        file for name in _FOLDERS for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    ]
    return sorted(f for f in files if not f.relative_to(ROOT).as_posix().startswith(_COMMAND_LINE_ONLY))


def find_templates(file: Path) -> set[str]:
    """Return the templates of problems, remedies, notices and other parts of error messages in `file`.

    Raises AssertionError for a text that cannot be traced to literals.
    """
    return {_number_blanks(text) for text in _Module(file).templates() if text.strip(_BLANK)}


def _error_names() -> set[str]:
    names, classes = {"BrokenSealError", "NewerFormatError"}, [RatuiError]
    while classes:
        each = classes.pop()
        names.add(each.__name__)
        classes += each.__subclasses__()
    return names - {"EntryError", "TrainError"}


def _number_blanks(text: str) -> str:
    first, *others = text.split(_BLANK)
    return first + "".join(f"{{{number}}}{part}" for number, part in enumerate(others))


class _Untraceable(AssertionError):
    """Raised for an expression that cannot be traced to literals."""


class _Module:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._tree = ast.parse(file.read_text(encoding="utf-8"))
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        functions = [node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef)]
        self._functions = {function.name: function for function in functions}

    def templates(self) -> Iterator[str]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._call_templates(node)
            elif isinstance(node, ast.Assign | ast.AugAssign) and self._is_notice(node):
                prefix = _BLANK if isinstance(node, ast.AugAssign) else ""
                yield from (prefix + text for text in self._literals(node.value) if text)
        for name in _MESSAGES & set(self._functions):
            yield from self._messages(self._functions[name])
        for name in _REASONS & set(self._functions):
            for node in ast.walk(self._functions[name]):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield from self._trace(node.value)

    def _call_templates(self, call: ast.Call) -> Iterator[str]:
        """Yield the templates of an error, of the notice of a file, or of an OSError that ratui raises itself."""
        name, errors = self._name(call), _error_names()
        if name in ("OSError", "StoredTables") and len(call.args) > 1:
            yield from self._trace(call.args[1])
        # The errors of their callers contain these texts.
        if name == "check_manager" or (name == "ValueError" and self._file.name == "bounded_parsing.py"):
            yield from self._trace(call.args[0])
        # These two are made of a holder, their texts are in their classes.
        if name in errors - {"LockedByOther", "TakenOver"} or self._is_super_of(call, errors):
            assert not call.keywords, ast.unparse(call)
            problem, place, remedy = (*call.args, None, None)[:3]
            yield from self._trace(problem) if problem else ()
            yield from self._trace(remedy) if remedy else ()
            is_option = isinstance(place, ast.Constant) and str(place.value).startswith("--")
            if isinstance(place, ast.JoinedStr | ast.Constant) and not is_option:
                yield from self._trace(place)

    def _messages(self, function: ast.FunctionDef) -> Iterator[str]:
        for node in ast.walk(function):
            if isinstance(node, ast.Yield | ast.Return) and node.value is not None:
                yield from self._literals(node.value)
            elif isinstance(node, ast.Call) and self._name(node) == "append":
                yield from self._trace(node.args[0])
            elif isinstance(node, ast.GeneratorExp):
                yield from self._literals(node.elt)

    def _literals(self, node: ast.expr) -> list[str]:
        """Return the templates of `node`, or none if `node` is no text."""
        try:
            return self._trace(node)
        except _Untraceable:
            return []

    def _is_notice(self, node: ast.Assign | ast.AugAssign) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id in ("notice", "_COPY_READ") for target in targets)

    def _trace(self, node: ast.expr) -> list[str]:
        """Return all texts that `node` can be, with a NUL for each value."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                return ["".join(each) for each in product(*(self._trace_part(part) for part in parts))]
            case ast.IfExp(body=one, orelse=other):
                return [*self._trace(one), *self._trace(other)]
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return [one + other for one, other in product(self._trace(left), self._trace(right))]
            case ast.Name(id=name):
                return self._trace_name(name, node)
            case ast.Subscript(value=ast.Name(id=name)):
                return [text for value in self._dict_values(name) for text in self._trace(value)]
            # The text of another error has been traced where that error is raised.
            case ast.Attribute(attr="problem" | "remedy" | "strerror"):
                return [_BLANK]
            case ast.Call(func=ast.Name(id="str")):
                return [_BLANK]
            case ast.BoolOp(values=values):
                return [text for value in values for text in self._trace(value)]
        raise _Untraceable(f"{self._file}:{node.lineno}: not a literal text: {ast.unparse(node)}")

    def _trace_part(self, part: ast.expr) -> list[str]:
        """Return what a part of an f-string can be: a blank, unless all its values are literals."""
        if not isinstance(part, ast.FormattedValue):
            return self._trace(part)
        name = part.value.id if isinstance(part.value, ast.Name) else ""
        if isinstance(part.value, ast.IfExp) or name == "why" or self._is_assigned(name, part):
            try:
                texts = self._trace(part.value)
            except _Untraceable:
                return [_BLANK]
            if not name or name == "why" or all(text == _BLANK or _BLANK not in text for text in texts):
                return texts
        return [_BLANK]

    def _is_assigned(self, name: str, node: ast.AST) -> bool:
        """Return whether `name` is a variable of the function around `node`, not one of its arguments."""
        while not isinstance(node, ast.FunctionDef | ast.Module):
            node = self._parents[node]
        return any(self._assigned(name, node))

    def _trace_name(self, name: str, node: ast.AST) -> list[str]:
        scope: ast.AST | None = node
        while scope is not None:
            scope = self._parents.get(scope)
            if not isinstance(scope, ast.FunctionDef | ast.Module):
                continue
            values = list(self._assigned(name, scope))
            if values:
                if any(isinstance(n, ast.Name) and n.id == name for value in values for n in ast.walk(value)):
                    raise _Untraceable(f"{self._file}: {name} is made of its former value")
                return [text for value in values for text in self._trace(value)]
            if isinstance(scope, ast.FunctionDef):
                arguments = [argument.arg for argument in scope.args.args]
                if name in arguments:
                    return self._trace_argument(scope, arguments, name)
        raise _Untraceable(f"{self._file}: not a literal text: {name}")

    def _trace_argument(self, function: ast.FunctionDef, arguments: list[str], name: str) -> list[str]:
        """Return the texts that the module passes to `function` as its argument `name`."""
        is_public = not function.name.startswith("_") and isinstance(self._parents[function], ast.Module | ast.ClassDef)
        if is_public:
            raise _Untraceable(f"{self._file}: other modules may call {function.name}")
        position = [each for each in arguments if each != "self"].index(name)
        calls = [n for n in ast.walk(self._tree) if isinstance(n, ast.Call) and self._name(n) == function.name]
        assert calls, function.name
        return [text for call in calls for text in self._trace(call.args[position])]

    def _assigned(self, name: str, scope: ast.FunctionDef | ast.Module) -> Iterator[ast.expr]:
        nodes: Iterable[ast.AST] = scope.body if isinstance(scope, ast.Module) else ast.walk(scope)
        for node in nodes:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple):
                    names = [each.id if isinstance(each, ast.Name) else "" for each in target.elts]
                    if name in names:
                        yield from self._elements(node.value, names.index(name))

    def _elements(self, value: ast.expr, index: int) -> list[ast.expr]:
        """Return what the element `index` of a tuple or of a function's result can be."""
        if isinstance(value, ast.Tuple):
            return [value.elts[index]]
        if isinstance(value, ast.Call) and self._name(value) in self._functions:
            returns = [n for n in ast.walk(self._functions[self._name(value)]) if isinstance(n, ast.Return)]
            return [n.value.elts[index] for n in returns if isinstance(n.value, ast.Tuple)]
        return [value]

    def _dict_values(self, name: str) -> list[ast.expr]:
        for value in self._assigned(name, self._tree):
            if isinstance(value, ast.Dict):
                return value.values
        raise _Untraceable(f"{self._file}: not a table of texts: {name}")

    def _is_super_of(self, node: ast.Call, errors: set[str]) -> bool:
        """Return whether `node` is ``super().__init__`` in a class of errors."""
        if not ast.unparse(node.func).startswith("super().__init__"):
            return False
        scope: ast.AST = node
        while not isinstance(scope, ast.ClassDef):
            scope = self._parents[scope]
        return scope.name in errors

    @staticmethod
    def _name(node: ast.Call) -> str:
        return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
