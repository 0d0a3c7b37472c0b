"""What the page's buttons do: values of its fields -> a picture, a line of Markdown, and what a session keeps.

A mistake becomes a sentence in place of the picture; any other exception is a bug and goes on. Nothing here knows
gradio. Fields come from a browser and may hold None.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from PIL import Image

from ..environment.mistakes import is_mistake, sentence
from ..visualization.panels import panel, panel_size
from . import pictures
from .answers import Answers, Clicks
from .downloads import Downloads, points_files, segmentation_files
from .photos import Photo, pixel_at, scene, uploaded
from .words import read_words, synonyms_told

Shown: TypeAlias = tuple[Image.Image | None, str]


class Handlers:
    """The page's buttons.

    Args:
        answers: what is asked.
        downloads: where files for visitors are written.
    """

    def __init__(self, answers: Answers, downloads: Downloads):
        self.answers, self.downloads = answers, downloads

    def choose_scene(self, index: int, before: Photo) -> tuple[Photo, Image.Image, str]:
        """The scene of a number; the photo before stays where there is none."""
        return self._chosen(lambda: scene(index), before)

    def choose_file(self, path: str | None, before: Photo) -> tuple[Photo, Image.Image, str]:
        """An uploaded photo; the photo before stays where it is none."""
        return self._chosen(lambda: uploaded(path or '', self.answers.limits), before)

    def _chosen(self, choose: Callable[[], Photo], before: Photo) -> tuple[Photo, Image.Image, str]:
        try:
            photo = choose()
            pixels = self.answers.pixels(photo)
        except Exception as error:
            return before, panel(self.answers.pixels(before)), mistake(error)
        height, width = pixels.shape[:2]
        return photo, panel(pixels), f'{pictures.plain(photo.name)}, {width} x {height} pixels'

    def segment(self, photo: Photo, words: str, methods: Sequence[str], opacity: float) -> Shown:
        """Labels of every pixel, method beside method."""

        def shown() -> Shown:
            vocabulary = read_words(words, self.answers.limits)
            picture, told = pictures.segmentation(self.answers.segment(photo, vocabulary, methods), opacity)
            return picture, with_synonyms(told, synonyms_told(vocabulary))

        return attempt(shown)

    def segment_files(self, photo: Photo, words: str, methods: Sequence[str]) -> tuple[list[str] | None, str]:
        """The labels as files."""

        def made() -> tuple[list[str], str]:
            results = self.answers.segment(photo, read_words(words, self.answers.limits), methods)
            files, note = segmentation_files(results, photo.name, self.downloads.folder())
            return [str(file) for file in files], note or f'{len(files)} files.'

        return attempt(made)

    def heatmaps(self, photo: Photo, words: str, methods: Sequence[str], opacity: float) -> Shown:
        """Where each word is, method beside method."""

        def shown() -> Shown:
            vocabulary = read_words(words, self.answers.limits)
            results = self.answers.heatmaps(photo, vocabulary, methods)
            picture, told = pictures.heat(results, opacity, self.answers.limits.maps)
            return picture, with_synonyms(told, synonyms_told(vocabulary))

        return attempt(shown)

    def recognise(self, photo: Photo, words: str) -> Shown:
        """Which words the photo holds."""
        return attempt(
            lambda: pictures.recognition(
                self.answers.recognise(photo, read_words(words, self.answers.limits))
            )
        )

    def explain(self, photo: Photo, text: str, methods: Sequence[str], opacity: float) -> Shown:
        """Which words of a sentence carry the match, and which regions."""
        return attempt(lambda: pictures.explanation(self.answers.explain(photo, text, methods), opacity))

    def attention(
        self, photo: Photo, click: Sequence[int] | None, methods: Sequence[str], opacity: float
    ) -> Shown:
        """What the clicked patch looks at."""

        def shown() -> Shown:
            if click is None:
                raise ValueError('click a patch of the photo first')
            xy = self._pixel(photo, click)
            return pictures.attention(self.answers.attention(photo, xy, methods), opacity)

        return attempt(shown)

    def add_point(
        self, photo: Photo, clicks: Clicks, click: Sequence[int], positive: bool, text: str, *shown: Any
    ) -> tuple[Clicks, Image.Image | None, str]:
        """The clicked points and one more, drawn; `shown` as for `points`."""
        more: Clicks = clicks
        try:
            self.answers.limits.check_points(len(clicks) + 1)
            more = (*clicks, (*self._pixel(photo, click), int(positive)))
        except ValueError as error:
            picture, _ = self.points(photo, clicks, text, *shown)
            return clicks, picture, mistake(error)
        return more, *self.points(photo, more, text, *shown)

    def points(
        self, photo: Photo, clicks: Clicks, text: str, methods: Sequence[str], opacity: float
    ) -> Shown:
        """The points of a text and the clicked ones, of an empty text these alone; the first method finds them."""
        return attempt(
            lambda: pictures.points(self.answers.points(photo, text, first(methods), clicks), opacity)
        )

    def mask(
        self, photo: Photo, clicks: Clicks, text: str, methods: Sequence[str], opacity: float
    ) -> tuple[Image.Image | None, list[str] | None, str]:
        """What SAM draws from the points, and files of both; without SAM the points' file."""
        try:
            found = self.answers.points(photo, text, first(methods), clicks)
            if self.answers.sam is None:
                files = points_files(found, photo.name, self.downloads.folder())
                return None, [str(file) for file in files], 'No mask: the page was started without --sam.'
            result = self.answers.mask(found)
            files = points_files(result, photo.name, self.downloads.folder())
            picture, told = pictures.mask(result, opacity)
            return picture, [str(file) for file in files], told
        except Exception as error:
            return None, None, mistake(error)

    def _pixel(self, photo: Photo, click: Sequence[int]) -> tuple[int, int]:
        pixels = self.answers.pixels(photo)
        height, width = panel_size(pixels)
        return pixel_at((int(click[0]), int(click[1])), (width, height), pixels)


def attempt(act: Callable[[], tuple[Any, str]]) -> tuple[Any, str]:
    """What an action gives, or nothing and the sentence of a mistake."""
    try:
        return act()
    except Exception as error:
        return None, mistake(error)


def mistake(error: Exception) -> str:
    """The sentence of a mistake, as Markdown. Raises the error again where it is a bug."""
    if not is_mistake(error):
        raise error
    return f'⚠ {pictures.plain(sentence(error))}'


def with_synonyms(told: str, synonyms: str) -> str:
    """A line, and below it which classes have other words than their names."""
    return f'{told}\n\nClasses and their words: {pictures.plain(synonyms)}' if synonyms else told


def first(methods: Sequence[str]) -> str:
    """The first method. Raises ValueError where none is chosen."""
    if not methods:
        raise ValueError('got no method; choose one')
    return methods[0]


def start_words() -> str:
    """What the page's field of words holds at first: those of the scenes."""
    from ..scenes import CLASSES

    return ', '.join(CLASSES)
