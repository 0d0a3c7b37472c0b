"""The page's layout, and which field goes to which handler.

    photo, scenes, words, methods   |   tabs: segment, heat maps, points, recognise, explain, patch attention

gradio is an argument: `server` is its door.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..visualization.panels import panel
from .fields import Fields
from .handlers import Handlers, start_words
from .photos import Photo, scene, thumbnails

DAY = 86_400  # seconds after which what visitors sent is removed
LOOK_EVERY = 3600  # seconds


class Page:
    """The page; `blocks` is what is served.

    Args:
        gradio: the module.
        handlers: what buttons do.
        title: which model this is.
    """

    def __init__(self, gradio: ModuleType, handlers: Handlers, title: str):
        self.gradio, self.handlers, self.fields = gradio, handlers, Fields(gradio)
        self.first = panel(handlers.answers.pixels(scene(0)))
        self.answered: list[Any] = []  # fields that hold something about the photo, and are emptied with it
        with gradio.Blocks(
            title='CLIP Surgery', analytics_enabled=False, delete_cache=(LOOK_EVERY, DAY), fill_width=True
        ) as self.blocks:
            gradio.Markdown(f'# CLIP Surgery\n{title}. Photos stay on the machine that serves this page.')
            # What a session keeps; not inside Tabs, whose children it would take for tabs.
            self.photo, self.clicks, self.clicked = (
                gradio.State(scene(0)),
                gradio.State(()),
                gradio.State(None),
            )
            with gradio.Row():
                with gradio.Column(scale=2, min_width=370):
                    self.inputs()
                with gradio.Column(scale=5, min_width=480), gradio.Tabs():
                    self.tab_of_words('segment', 'Segment', handlers.segment, self.segment_files)
                    self.tab_of_words('heat', 'Heat maps', handlers.heatmaps)
                    self.points_tab()
                    self.recognise_tab()
                    self.explain_tab()
                    self.attention_tab()
            self.connect_photo()

    def inputs(self) -> None:
        """Photo, words and methods."""
        gradio, answers = self.gradio, self.handlers.answers
        self.shown = self.fields.picture('photo', 'Photo', self.first)
        self.told = self.fields.message('photo-message')
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
        info = 'between commas; for synonyms a class a line: sofa, couch'
        self.words = gradio.Textbox(start_words(), label='Words', info=info, lines=3, elem_id='words')
        self.methods = gradio.Dropdown(
            list(answers.methods),
            value=answers.chosen,
            multiselect=True,
            max_choices=answers.limits.methods,
            label='Methods, side by side',
            elem_id='methods',
        )

    def answer(self, name: str, label: str, slider: bool = True) -> tuple[Any, Any, Any, Any]:
        """A button, a slider of opacity, the picture and the line below it."""
        with self.gradio.Row():
            run = self.fields.button(f'{name}-run', label, main=True)
            opacity = self.fields.opacity(f'{name}-opacity') if slider else None
        picture, told = self.fields.picture(f'{name}-picture'), self.fields.message(f'{name}-message')
        self.answered += [picture, told]
        return run, opacity, picture, told

    def tab_of_words(
        self, name: str, title: str, action: Callable, more: Callable[[Any], None] | None = None
    ) -> None:
        """A tab that asks for the words; `more` adds fields, given the line of the answer."""
        with self.gradio.Tab(title, id=name):
            run, opacity, picture, told = self.answer(name, title)
            asked = [self.photo, self.words, self.methods, opacity]
            self.fields.on(run.click, action, asked, [picture, told])
            self.fields.live(opacity, action, asked, [picture, told])
            if more is not None:
                more(told)

    def segment_files(self, told: Any) -> None:
        """The labels as files."""
        make = self.fields.button('segment-make', 'Make files: labels, palette, LabelMe, COCO')
        files = self.fields.files('segment-files')
        self.answered.append(files)
        asked = [self.photo, self.words, self.methods]
        self.fields.on(make.click, self.handlers.segment_files, asked, [files, told])

    def points_tab(self) -> None:
        """Points of a target, of clicks, and a mask."""
        gradio, handlers, fields = self.gradio, self.handlers, self.fields
        with gradio.Tab('Points', id='points'):
            with gradio.Row():
                info = 'a word, or several: person+bench; empty: clicks alone'
                text = gradio.Textbox(label='Target', info=info, elem_id='target')
                signs = [('positive', True), ('negative', False)]
                sign = gradio.Radio(signs, value=True, label='A click adds', elem_id='sign')
                opacity = fields.opacity('points-opacity')
            with gradio.Row():
                find = fields.button('points-run', 'Find points', main=True)
                clear = fields.button('points-clear', 'Clear clicked points')
                draw = fields.button('points-mask', 'Mask by SAM, and files')
            told = fields.message('points-message')
            with gradio.Row():
                self.clickable = fields.picture('points-picture', 'Click to add a point', self.first)
                mask = fields.picture('mask-picture', 'Mask')
            files = fields.files('points-files')
        self.answered += [told, mask, files]

        def add(event: gradio.SelectData, photo, clicks, sign, *shown):  # type: ignore[name-defined]
            return handlers.add_point(photo, clicks, event.index, sign, *shown)

        def none(photo, *shown):
            return (), *handlers.points(photo, (), *shown)

        settings, drawn = [text, self.methods, opacity], [self.clickable, told]
        asked = [self.photo, self.clicks, *settings]
        fields.on(find.click, handlers.points, asked, drawn)
        fields.live(opacity, handlers.points, asked, drawn)
        fields.on(draw.click, handlers.mask, asked, [mask, files, told])
        fields.on(clear.click, none, [self.photo, *settings], [self.clicks, *drawn])
        fields.on(
            self.clickable.select, add, [self.photo, self.clicks, sign, *settings], [self.clicks, *drawn]
        )

    def recognise_tab(self) -> None:
        """Which words the photo holds."""
        with self.gradio.Tab('Recognise', id='recognise'):
            run, _, picture, told = self.answer('recognise', 'Which words does it hold?', slider=False)
            self.fields.on(run.click, self.handlers.recognise, [self.photo, self.words], [picture, told])

    def explain_tab(self) -> None:
        """Which words of a sentence carry the match."""
        with self.gradio.Tab('Explain a sentence', id='explain'):
            text = self.gradio.Textbox('a red sock on gravel', label='Sentence', elem_id='sentence')
            run, opacity, picture, told = self.answer('explain', 'Explain')
            asked = [self.photo, text, self.methods, opacity]
            self.fields.on(run.click, self.handlers.explain, asked, [picture, told])
            self.fields.live(opacity, self.handlers.explain, asked, [picture, told])

    def attention_tab(self) -> None:
        """What a clicked patch looks at."""
        gradio, handlers, fields = self.gradio, self.handlers, self.fields
        with gradio.Tab('Patch attention', id='attention'):
            opacity, told = fields.opacity('attention-opacity'), fields.message('attention-message')
            with gradio.Row():
                self.patches = fields.picture('patches', 'Click a patch', self.first)
                picture = fields.picture('attention-picture')
        self.answered += [told, picture]

        def ask(event: gradio.SelectData, photo, *shown):  # type: ignore[name-defined]
            return event.index, *handlers.attention(photo, event.index, *shown)

        settings = [self.methods, opacity]
        fields.on(self.patches.select, ask, [self.photo, *settings], [self.clicked, picture, told])
        fields.live(opacity, handlers.attention, [self.photo, self.clicked, *settings], [picture, told])

    def connect_photo(self) -> None:
        """A new photo is shown everywhere; clicks and answers about the one before go. A bad one changes nothing."""
        handlers, skip = self.handlers, self.gradio.skip()
        pictures = [self.shown, self.clickable, self.patches]
        emptied = [self.clicked, *self.answered]

        def everywhere(before: Photo, photo: Photo, picture: Any, told: str) -> tuple:
            if photo == before:
                return photo, told, skip, *[skip for _ in (*pictures, *emptied)]
            return photo, told, (), *[picture for _ in pictures], *[None for _ in emptied]

        def chosen_scene(event: self.gradio.SelectData, before):  # type: ignore[name-defined]
            return everywhere(before, *handlers.choose_scene(event.index, before))

        def chosen_file(path, before):
            return everywhere(before, *handlers.choose_file(path, before))

        changed = [self.photo, self.told, self.clicks, *pictures, *emptied]
        self.fields.on(self.scenes.select, chosen_scene, [self.photo], changed)
        self.fields.on(self.upload.upload, chosen_file, [self.upload, self.photo], changed)
