"""What one visitor may ask of the page; each refusal is a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of what is sent to the page.

    Args:
        upload_bytes: of a photo's file.
        words: classes, and words of all classes together.
        characters: of a text.
        methods: side by side.
        maps: heat maps in one picture.
        points: clicked ones.
    """

    upload_bytes: int = 20 * MIB
    words: int = 200
    characters: int = 20_000
    methods: int = 4
    maps: int = 24
    points: int = 100

    def check_upload(self, size: int) -> None:
        """Raises ValueError for a file of too many bytes."""
        if size > self.upload_bytes:
            raise ValueError(
                f'the photo has {size / MIB:.1f} MiB and the page takes {self.upload_bytes / MIB:g}; shrink it, or '
                'start the page with a larger --max-upload'
            )

    def check_text(self, text: str) -> None:
        """Raises ValueError for a text of too many characters."""
        if len(text) > self.characters:
            raise ValueError(
                f'the text has {len(text):,} characters and the page takes {self.characters:,}; shorten it'
            )

    def check_words(self, count: int) -> None:
        """Raises ValueError for too many words."""
        if count > self.words:
            raise ValueError(
                f'got {count:,} words and the page takes {self.words}; for more, use the command line: '
                'mmseg-clipsurgery segment --vocabulary FILE'
            )

    def check_methods(self, methods: Sequence[str]) -> None:
        """Raises ValueError for no method, or too many side by side."""
        if not 1 <= len(methods) <= self.methods:
            raise ValueError(f'got {len(methods)} methods; choose from 1 to {self.methods}')

    def check_points(self, count: int) -> None:
        """Raises ValueError for too many clicked points."""
        if count > self.points:
            raise ValueError(f'the page takes {self.points} points; clear them to begin anew')
