"""`{raised-errors}`: every sentence with which the package refuses something, read from its code, by folder.

What is filled in when the error is raised stands as an ellipsis. Sentences stay on one page, so that a search for the
words of a message finds what the package means by it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

PACKAGE = Path(__file__).resolve().parents[2] / 'mmseg_clipsurgery'
KINDS = {'ValueError', 'FileNotFoundError', 'ImportError', 'TypeError', 'OSError', 'RuntimeError', 'KeyError'}


class RaisedErrors(Directive):
    """A section a folder, an item a sentence."""

    def run(self) -> list[nodes.Node]:
        sections = []
        for folder, sentences in by_folder().items():
            section = nodes.section(ids=[f'errors-{folder or "method"}'])
            section += nodes.title(text=folder or 'the method')
            listed = nodes.bullet_list()
            for sentence in sentences:
                listed += nodes.list_item('', nodes.paragraph(text=sentence))
            section += listed
            sections.append(section)
        return sections


def by_folder() -> dict[str, list[str]]:
    """Folder of the package -> its sentences, sorted, each once."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        folder = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ''
        sentences = set(sentences_of(ast.parse(path.read_text(encoding='utf-8'))))
        if sentences:
            found.setdefault(folder, set()).update(sentences)
    return {folder: sorted(found[folder], key=str.lower) for folder in sorted(found)}


def sentences_of(tree: ast.Module) -> Iterator[str]:
    """The messages that are written where an error is raised."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call) or not node.exc.args:
            continue
        if isinstance(node.exc.func, ast.Name) and node.exc.func.id in KINDS:
            sentence = text_of(node.exc.args[0])
            if len(sentence.replace('…', '').split()) > 2:
                yield sentence


def text_of(node: ast.expr) -> str:
    """A string as it is written, with an ellipsis for what is filled in; empty for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(text_of(part) if isinstance(part, ast.Constant) else '…' for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return ''


def setup(app) -> dict:
    app.add_directive('raised-errors', RaisedErrors)
    return {'parallel_read_safe': True}
