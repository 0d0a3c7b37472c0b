"""The sentences with which the package refuses something, read from its code.

raise KIND(f'...')              the string; what is filled in when the error is raised is an ellipsis
raise KIND(... NAME ...)        with a constant of the package: its text
raise KIND(function(...))       the strings that this function of the package gives
parser.error('...')             what a command line refuses
MAKERS, TABLES                  sentences that reach their `raise` as values
"""

import ast
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / 'mmseg_clipsurgery'
MAKERS = {  # functions that give sentences, or (sentence, remedy)
    *('missing', 'clash', 'cap', 'uncompiled', 'old_open_clip'),
    *('count_notes', 'encoding_notes', 'absence_notes', 'refusal', 'too_large', 'cannot_tell'),
}
TABLES = {'OTHER_MODELS': '… is ', 'REMEDIES': '…; '}  # values end sentences that begin so
SHORTEST = 3  # words that are written out; less says nothing without what is filled in


@cache
def trees() -> dict[Path, ast.Module]:
    """The package's files, parsed."""
    return {path: ast.parse(path.read_text(encoding='utf-8')) for path in sorted(PACKAGE.rglob('*.py'))}


@cache
def constants() -> dict[str, dict[Path, str]]:
    """Name of a module's constant -> file -> its text."""
    found: dict[str, dict[Path, str]] = {}
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                text = text_of(node.value, path, constant=False)
                if text:
                    found.setdefault(node.targets[0].id, {})[path] = text
    return found


def by_folder() -> dict[str, list[str]]:
    """Folder of the package, '' for its own files -> its sentences, sorted, each once."""
    found: dict[str, set[str]] = {}
    for path, tree in trees().items():
        folder = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ''
        found.setdefault(folder, set()).update(filter(says_something, sentences_of(tree, path)))
    return {folder: sorted(found[folder], key=str.lower) for folder in sorted(found) if found[folder]}


def says_something(sentence: str) -> bool:
    return len(sentence.replace('…', '').split()) >= SHORTEST


def sentences_of(tree: ast.AST, path: Path) -> Iterator[str]:
    """The sentences of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            yield from raised(node, path)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == 'parser.error':
            yield text_of(node.args[0], path)
        elif isinstance(node, ast.FunctionDef) and node.name in MAKERS:
            yield from (text_of(string, path) for string in strings_of(node.body[1:]))  # behind its docstring
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            begin = TABLES.get(ast.unparse(node.targets[0]))
            yield from (begin + text_of(value, path) for value in node.value.values if begin)


def strings_of(statements: list[ast.stmt]) -> Iterator[ast.expr]:
    """The strings in some statements, each whole."""
    todo: list[ast.AST] = list(statements)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Constant | ast.JoinedStr):
            yield node
        else:
            todo += ast.iter_child_nodes(node)


def raised(node: ast.Raise, path: Path) -> set[str]:
    """What an error may say, as far as it is written where it is raised; nothing where it is raised again."""
    if not isinstance(node.exc, ast.Call) or not node.exc.args:
        return set()
    message = node.exc.args[0]
    return {text_of(Chosen(branch).visit(deepcopy(message)), path) for branch in ('body', 'orelse')}


class Chosen(ast.NodeTransformer):
    """Takes one branch, 'body' or 'orelse', of each `A if CONDITION else B`."""

    def __init__(self, branch: str):
        self.branch = branch

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return self.visit(getattr(node, self.branch))


def text_of(node: ast.expr, path: Path, constant: bool = True) -> str:
    """A string as it is written, with an ellipsis for what is filled in; '' for what is no string.

    Args:
        node: an expression.
        path: the file it stands in.
        constant: fill in constants of the package.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(text_of(part, path, constant) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, path, constant) or '…' if isinstance(node.value, ast.Name) else '…'
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left, path, constant) + text_of(node.right, path, constant)
    if isinstance(node, ast.Name) and constant and node.id.isupper():
        values = constants().get(node.id, {})
        return values.get(path) or next(iter(values.values()), '')
    return ''
