"""The page and its server: the one door to gradio (extra `[web]`).

    photo, scenes, words, methods   |   tabs: segment, heat maps, points, recognise, explain, patch attention

It is served on a local address, asks no other server for anything (no share link, no analytics, no outside fonts or
scripts), and gives out no file but what it made itself: photos shown, pictures and downloads, all in a folder of its
own that is removed at the end.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..visualization.panels import OPACITY, panel
from .answers import Answers
from .downloads import Downloads
from .guard import ALIVE, LOCAL, Guard
from .handlers import Handlers, start_words
from .limits import MIB
from .photos import scene, thumbnails

REMEDY = 'pip install "mmseg_clipsurgery[web]"'
DAY = 86_400  # seconds after which what visitors sent is removed
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


class Page:
    """The layout, and which field goes to which handler.

    Args:
        gradio: the module.
        handlers: what buttons do.
        title: which model this is.
    """

    def __init__(self, gradio: ModuleType, handlers: Handlers, title: str):
        self.gradio, self.handlers = gradio, handlers
        self.answered: list[Any] = []  # fields that hold an answer about the photo
        with gradio.Blocks(
            title='CLIP Surgery', analytics_enabled=False, delete_cache=(3600, DAY), fill_width=True
        ) as self.blocks:
            gradio.Markdown(f'# CLIP Surgery\n{title}. Photos stay on the machine that serves this page.')
            self.photo, self.clicks = gradio.State(scene(0)), gradio.State(())
            with gradio.Row():
                with gradio.Column(scale=2, min_width=370):
                    self.inputs()
                with gradio.Column(scale=5, min_width=480), gradio.Tabs():
                    self.segment_tab()
                    self.heat_tab()
                    self.points_tab()
                    self.recognise_tab()
                    self.explain_tab()
                    self.attention_tab()
            self.connect_photo()

    def inputs(self) -> None:
        """Photo, words and methods."""
        gradio, methods = self.gradio, self.handlers.answers.methods
        self.shown = self.image('photo', 'Photo', panel(self.handlers.answers.pixels(scene(0))))
        self.told = self.message('photo-message')
        self.upload = gradio.UploadButton(
            'Choose a photo, or a scene below', elem_id='upload', type='filepath'
        )
        self.scenes = gradio.Gallery(
            thumbnails(),
            show_label=False,
            columns=3,
            height=250,
            allow_preview=False,
            interactive=False,
            elem_id='scenes',
            buttons=[],
        )
        self.words = gradio.Textbox(
            start_words(),
            label='Words',
            info='between commas; for synonyms a class a line: sofa, couch',
            lines=3,
            elem_id='words',
        )
        self.methods = gradio.Dropdown(
            list(methods),
            value=self.handlers.answers.chosen,
            multiselect=True,
            max_choices=self.handlers.answers.limits.methods,
            label='Methods, side by side',
            elem_id='methods',
        )

    def segment_tab(self) -> None:
        gradio = self.gradio
        with gradio.Tab('Segment', id='segment'):
            button, opacity, picture, told = self.answer_fields('segment', 'Segment')
            asked = [self.photo, self.words, self.methods]
            self.on(button.click, self.handlers.segment, [*asked, opacity], [picture, told])
            self.live(opacity, self.handlers.segment, [*asked, opacity], [picture, told])
            make = gradio.Button('Make files: labels, palette, LabelMe, COCO', elem_id='segment-make')
            files = gradio.File(
                label='Files', file_count='multiple', interactive=False, elem_id='segment-files'
            )
            self.on(make.click, self.handlers.segment_files, asked, [files, told])

    def heat_tab(self) -> None:
        with self.gradio.Tab('Heat maps', id='heat'):
            button, opacity, picture, told = self.answer_fields('heat', 'Draw heat maps')
            asked = [self.photo, self.words, self.methods, opacity]
            self.on(button.click, self.handlers.heatmaps, asked, [picture, told])
            self.live(opacity, self.handlers.heatmaps, asked, [picture, told])

    def points_tab(self) -> None:
        gradio, handlers = self.gradio, self.handlers
        with gradio.Tab('Points', id='points'):
            with gradio.Row():
                text = gradio.Textbox(
                    label='Target',
                    info='a word, or several: person+bench; empty: clicks alone',
                    elem_id='target',
                )
                sign = gradio.Radio(
                    [('positive', True), ('negative', False)],
                    value=True,
                    label='A click adds',
                    elem_id='sign',
                )
                opacity = self.slider('points')
            with gradio.Row():
                find = gradio.Button('Find points', variant='primary', elem_id='points-run')
                clear = gradio.Button('Clear clicked points', elem_id='points-clear')
                draw = gradio.Button('Mask by SAM, and files', elem_id='points-mask')
            told = self.message('points-message')
            with gradio.Row():
                self.clickable = self.image('points-picture', 'Click to add a point', self.start())
                mask = self.image('mask-picture', 'Mask')
            files = gradio.File(
                label='Files', file_count='multiple', interactive=False, elem_id='points-files'
            )
            asked = [self.photo, self.clicks, text, self.methods, opacity]
            self.on(find.click, handlers.points, asked, [self.clickable, told])
            self.live(opacity, handlers.points, asked, [self.clickable, told])
            self.on(draw.click, handlers.mask, asked, [mask, files, told])
            self.on(
                clear.click,
                lambda photo, *shown: ((), *handlers.points(photo, (), *shown)),
                [self.photo, text, self.methods, opacity],
                [self.clicks, self.clickable, told],
            )

            def clicked(event: gradio.SelectData, photo, clicks, sign, *shown):  # type: ignore[name-defined]
                return handlers.add_point(photo, clicks, event.index, sign, *shown)

            self.on(
                self.clickable.select,
                clicked,
                [self.photo, self.clicks, sign, text, self.methods, opacity],
                [self.clicks, self.clickable, told],
            )

    def recognise_tab(self) -> None:
        with self.gradio.Tab('Recognise', id='recognise'):
            button, _, picture, told = self.answer_fields(
                'recognise', 'Which words does it hold?', slider=False
            )
            self.on(button.click, self.handlers.recognise, [self.photo, self.words], [picture, told])

    def explain_tab(self) -> None:
        with self.gradio.Tab('Explain a sentence', id='explain'):
            text = self.gradio.Textbox('a red sock on gravel', label='Sentence', elem_id='sentence')
            button, opacity, picture, told = self.answer_fields('explain', 'Explain')
            asked = [self.photo, text, self.methods, opacity]
            self.on(button.click, self.handlers.explain, asked, [picture, told])
            self.live(opacity, self.handlers.explain, asked, [picture, told])

    def attention_tab(self) -> None:
        gradio, handlers = self.gradio, self.handlers
        with gradio.Tab('Patch attention', id='attention'):
            at, opacity, told = (
                gradio.State(None),
                self.slider('attention'),
                self.message('attention-message'),
            )
            with gradio.Row():
                self.patches = self.image('patches', 'Click a patch', self.start())
                picture = self.image('attention-picture')
            self.answered += [told, picture]

            def clicked(event: gradio.SelectData, *shown):  # type: ignore[name-defined]
                photo, methods, opacity = shown
                return event.index, *handlers.attention(photo, event.index, methods, opacity)

            self.on(self.patches.select, clicked, [self.photo, self.methods, opacity], [at, picture, told])
            self.live(opacity, handlers.attention, [self.photo, at, self.methods, opacity], [picture, told])
            self.at = at

    def connect_photo(self) -> None:
        """What a new photo changes: it is shown everywhere; clicks and answers about the one before are gone."""
        handlers = self.handlers
        changed = [
            self.photo,
            self.shown,
            self.told,
            self.clickable,
            self.patches,
            self.clicks,
            self.at,
            *self.answered,
        ]

        def everywhere(photo, picture, told):
            return photo, picture, told, picture, picture, (), None, *[None for _ in self.answered]

        def chosen_scene(event: self.gradio.SelectData, before):  # type: ignore[name-defined]
            return everywhere(*handlers.choose_scene(event.index, before))

        def chosen_file(path, before):
            return everywhere(*handlers.choose_file(path, before))

        self.on(self.scenes.select, chosen_scene, [self.photo], changed)
        self.on(self.upload.upload, chosen_file, [self.upload, self.photo], changed)

    def answer_fields(self, name: str, button: str, slider: bool = True) -> tuple[Any, Any, Any, Any]:
        """A button, a slider of opacity, the picture and the line below it."""
        with self.gradio.Row():
            run = self.gradio.Button(button, variant='primary', elem_id=f'{name}-run')
            opacity = self.slider(name) if slider else None
        picture, told = self.image(f'{name}-picture'), self.message(f'{name}-message')
        self.answered += [picture, told]
        return run, opacity, picture, told

    def start(self) -> Any:
        return panel(self.handlers.answers.pixels(scene(0)))

    def slider(self, name: str) -> Any:
        return self.gradio.Slider(0, 1, OPACITY, step=0.05, label='Opacity', elem_id=f'{name}-opacity')

    def image(self, name: str, label: str | None = None, value: Any = None) -> Any:
        return self.gradio.Image(
            value,
            label=label,
            show_label=label is not None,
            elem_id=name,
            interactive=False,
            format='jpeg',
            buttons=['download', 'fullscreen'],
        )

    def files(self, name: str) -> Any:
        return self.gradio.File(
            label='Files', file_count='multiple', interactive=False, height=150, elem_id=name, buttons=[]
        )

    def message(self, name: str) -> Any:
        return self.gradio.Markdown(elem_id=name, elem_classes='message')

    def on(self, event: Callable, action: Callable, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Connect an event; it is no public interface."""
        pictures = [field for field in outputs if isinstance(field, self.gradio.Image | self.gradio.File)]
        event(action, inputs=inputs, outputs=outputs, api_visibility='private', show_progress_on=pictures)

    def live(self, slider: Any, action: Callable, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Draw again while a slider moves, always its last position."""
        slider.input(
            action,
            inputs=inputs,
            outputs=outputs,
            trigger_mode='always_last',
            show_progress='hidden',
            api_visibility='private',
        )
