"""The docs site: Markdown by MyST, docstrings by autodoc, commands' own help; `make docs`, warnings are errors."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / '_extensions')]
os.environ['PATH'] = (
    f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}'  # its own python
)
os.environ['PYTHONPATH'] = str(HERE.parent)
os.environ['COLUMNS'] = '100'  # of the commands' help

from mmseg_clipsurgery.version import __version__  # noqa: E402

project, author, release = 'mmseg_clipsurgery', 'The mmseg_clipsurgery authors', __version__
html_title = f'{project} {release}'
html_theme = 'furo'
extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'sphinxcontrib.programoutput',
    'raised_errors',
]
exclude_patterns = ['_build', '_extensions', 'pictures']
default_role = 'code'  # docstrings mark names as Markdown does
autodoc_typehints = 'none'  # the signature shows them
autodoc_member_order = 'bysource'
autodoc_default_options = {'show-inheritance': False}
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype = False
myst_heading_anchors = 3
myst_enable_extensions = ['deflist', 'colon_fence']
nb_execution_mode = 'force'
nb_execution_raise_on_error = True
nb_execution_timeout = 300
copybutton_prompt_text = '$ '
suppress_warnings = ['myst.header']  # a page that includes another begins below its first level

# Pages that stand at the root of the repository -> where the site shows them.
AT_THE_ROOT = {
    '../CHANGELOG.md': 'changelog.md',
    '../SECURITY.md': 'security.md',
    '../README.md': 'index.md',
    '../CONTRIBUTING.md': 'contributing.md',
}
FILE = re.compile(r'<!-- file: (\S+) -->\n```(\w+)\n')


def as_the_site_has_it(app, name: str, source: list[str]) -> None:
    """Links that leave docs/ lead to the pages that show their targets, and blocks that are files say which."""
    for path, page in AT_THE_ROOT.items():
        source[0] = source[0].replace(f']({path}', f']({page}')
    source[0] = FILE.sub(r'```{code-block} \2\n:caption: \1\n\n', source[0])


def links_of_included(app, relative: Path, parent: str, content: list[str]) -> None:
    """The same for pages of the root that are included: their links to docs/ are links to pages here."""
    content[0] = content[0].replace('](docs/', '](').replace('](SECURITY.md', '](security.md')
    content[0] = content[0].replace('](CHANGELOG.md', '](changelog.md')


def setup(app) -> None:
    app.connect('source-read', as_the_site_has_it)
    app.connect('include-read', links_of_included)
