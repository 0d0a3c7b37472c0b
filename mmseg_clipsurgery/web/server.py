"""The page's server: the one door to gradio (extra `[web]`).

On a local address; it asks no other server for anything (no share link, no analytics, no outside fonts or scripts), and
gives out no file but what it made itself: photos shown, pictures and downloads, all in a folder of its own that is
removed at the end.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .answers import Answers
from .downloads import Downloads
from .guard import ALIVE, LOCAL, Guard
from .handlers import Handlers
from .limits import MIB
from .page import Page

REMEDY = 'pip install "mmseg_clipsurgery[web]"'
AT_ONCE, WAITING = 8, 100  # requests that are worked on, and that may wait
ENVIRONMENT = {  # of gradio's own switches, those that would tell or open something
    'GRADIO_ANALYTICS_ENABLED': 'False',
    'GRADIO_SHARE': 'False',
    'GRADIO_ALLOWED_PATHS': '',
    'GRADIO_VIBE_MODE': '',
    'HF_HUB_DISABLE_TELEMETRY': '1',
}
STOPPED = 'The server has stopped: start mmseg-clipsurgery web again, then reload this page.'
WATCH = f"""<script>
let stopped;
setInterval(() => fetch('{ALIVE}', {{cache: 'no-store'}}).catch(() => {{
  if (stopped) return;
  stopped = Object.assign(document.createElement('p'), {{id: 'stopped', textContent: '{STOPPED}'}});
  document.body.prepend(stopped);
}}), 2000);
</script>"""
CSS = """
#stopped { padding: 1em; background: #fdd; color: #600; }
.message p { margin: 0.2em 0; }
#photo img { max-height: 220px; }
#segment-files, #points-files { max-height: 180px; overflow: auto; }
.gradio-container { max-width: 1500px !important; }
"""


def import_gradio() -> ModuleType:
    """gradio, told to ask nobody else. Raises ImportError with the remedy where it is missing."""
    os.environ.update(ENVIRONMENT)
    for name in ('no_proxy', 'NO_PROXY'):  # gradio asks its own server once, which no proxy reaches
        os.environ[name] = ','.join(filter(None, [os.environ.get(name), '127.0.0.1,localhost']))
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise ImportError(f'the page needs gradio, which is not installed; mend it with: {REMEDY}') from error
    if int(gradio.__version__.partition('.')[0]) < 6:
        raise ImportError(
            f'the page needs gradio 6 or newer, got {gradio.__version__}; mend it with: {REMEDY} --upgrade'
        )
    return gradio


@dataclass
class Served:
    """A page that is served.

    Attributes:
        url: where.
    """

    url: str
    blocks: Any
    folder: Path

    def close(self) -> None:
        """Stop the server and remove the folder."""
        self.blocks.close(verbose=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def serve(answers: Answers, title: str, host: str = LOCAL[0], port: int = 7860) -> Served:
    """Serve the page in threads of this process; returns once it answers.

    Args:
        answers: what is asked.
        title: which model this is, for the head of the page.
        host, port: a free address.

    Raises:
        ImportError: gradio is missing; with the remedy.
    """
    gradio = import_gradio()
    folder = Path(tempfile.mkdtemp(prefix='mmseg_clipsurgery-web-'))
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    blocks = Page(gradio, Handlers(answers, Downloads(folder)), title).blocks
    blocks.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)
    names = LOCAL if host in LOCAL else ()
    guard = (Guard, (), {'most_bytes': answers.limits.upload_bytes + MIB, 'names': names})
    plain = gradio.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    _, url, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inline=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        footer_links=[],
        allowed_paths=[],
        blocked_paths=[],
        max_file_size=answers.limits.upload_bytes,
        app_kwargs={'middleware': [guard], 'docs_url': None, 'redoc_url': None, 'openapi_url': None},
        theme=plain,
        css=CSS,
        head=WATCH,
    )
    return Served(url, blocks, folder)
