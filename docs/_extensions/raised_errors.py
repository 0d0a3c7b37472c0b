"""`{raised-errors}`: every sentence with which the package refuses something, by folder (`package_sentences`).

Sentences stay on one page, so that a search for the words of a message finds what the package means by it.
"""

from docutils import nodes
from docutils.parsers.rst import Directive
from package_sentences import by_folder


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


def setup(app) -> dict:
    app.add_directive('raised-errors', RaisedErrors)
    return {'parallel_read_safe': True}
