"""Text embeddings on disk: written whole or not at all, read only when they fit and are sound.

A key is the SHA-256 of everything an embedding depends on: the text tower's tensors, its config and activation, words,
templates and tokenizer. Not the token ids of every word in every template, which take longer than all else; but those
of some texts, so that a tokenizer which reads the same tokens otherwise is another one. A file is written under a
temporary name and renamed, so that processes can share the folder without a lock. Each file carries its key and the
SHA-256 of its numbers: one that is damaged, of another key or shape, not finite, or that another user may have written
(`environment.ownership`) is rebuilt.

The folder holds at most `MOST_MIB`, or what the environment variable `LIMIT_VARIABLE` says: what was not read for the
longest time goes first.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..environment.files import atomic_write
from ..environment.ownership import is_trusted
from ..environment.stack import cache_folder

logger = logging.getLogger('mmseg_clipsurgery')

FORM = 2  # of the files; those of another form are never found
LIMIT_VARIABLE, MOST_MIB = 'MMSEG_CLIPSURGERY_TEXT_CACHE_MIB', 1024
NAME = re.compile(r'[0-9a-f]{64}\.safetensors')


class TextCache:
    """A folder of text embeddings.

    Args:
        folder: where files are kept; None: `text` in the package's cache folder.

    Raises:
        ValueError: the environment variable of its limit holds no number.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder).expanduser() if folder else cache_folder() / 'text'
        self.most_bytes = limit_bytes()

    def key(
        self, tower: nn.Module, config: Mapping, quick_gelu: bool, texts: Mapping[str, Any], ids: Tensor
    ) -> str:
        """Hexadecimal key of embeddings by a text tower.

        Args:
            tower, config, quick_gelu: the text tower, its config and activation.
            texts: words, templates and what else says which texts are encoded; all of it JSON.
            ids: token ids of some of the texts, "t l".
        """
        digest = hashlib.sha256()
        settings = {'form': FORM, 'text_cfg': config['text_cfg'], 'quick_gelu': quick_gelu, **texts}
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, value in sorted({**tower.state_dict(), '': ids}.items()):
            digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
            digest.update(as_bytes(value))
        return digest.hexdigest()

    def read(self, key: str, shape: tuple[int, ...]) -> Tensor | None:
        """The embeddings under a key, fp32 on the CPU; None where there are none or they are unsound (logged)."""
        path = self.folder / f'{key}.safetensors'
        try:
            if not path.is_file():
                return None
            if not is_trusted(path):
                logger.warning('text cache: another user may have written %s; not reading it', path)
                return None
            with safe_open(path, 'pt') as file:
                found, stated = file.get_tensor('embeddings'), file.metadata() or {}
        except (SafetensorError, OSError, ValueError) as error:
            logger.warning('text cache: %s is not readable (%s); rebuilding it', path, error)
            return None
        sound = tuple(found.shape) == shape and found.dtype == torch.float32 and torch.isfinite(found).all()
        if not sound or stated != metadata_of(key, found):
            logger.warning('text cache: %s is damaged; rebuilding it', path)
            return None
        with suppress(OSError):
            os.utime(path)  # read just now, see `evict`
        return found

    def write(self, key: str, embeddings: Tensor) -> None:
        """Keep embeddings under a key. A folder that cannot be written is a warning: the cache is a convenience."""
        embeddings = embeddings.float().contiguous().cpu()
        stated = metadata_of(key, embeddings)
        try:
            atomic_write(
                self.folder / f'{key}.safetensors',
                lambda temporary: save_file({'embeddings': embeddings}, temporary, stated),
            )
            evict(self.folder, self.most_bytes)
        except (OSError, SafetensorError) as error:
            logger.warning('text cache: %s cannot be written (%s); going on without it', self.folder, error)


def metadata_of(key: str, embeddings: Tensor) -> dict[str, str]:
    """What a file says of itself beside its embeddings."""
    return {'key': key, 'sha256': hashlib.sha256(as_bytes(embeddings)).hexdigest()}


def limit_bytes() -> int:
    """How much a folder may hold. Raises ValueError where the environment variable holds no number."""
    given = os.environ.get(LIMIT_VARIABLE, '')
    if given and not given.isdecimal():
        raise ValueError(f'{LIMIT_VARIABLE} must be a whole number of MiB, got {given!r}')
    return int(given or MOST_MIB) << 20


def evict(folder: Path, most: int) -> None:
    """Remove embeddings until the folder holds `most` bytes, those first that were not read for the longest time.

    Other processes may remove the same ones; files of other names are left alone.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if NAME.fullmatch(entry.name):
                    found.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
    kept = 0
    for _, size, path in sorted(found, reverse=True):
        kept += size
        if kept > most:
            Path(path).unlink(missing_ok=True)


def disk_cache(folder: str | Path | bool | None) -> TextCache | None:
    """The cache in a folder; None or True: the default folder, where there is one; False: no cache."""
    if folder is False:
        return None
    try:
        return TextCache(None if folder is True else folder)
    except (FileNotFoundError, RuntimeError) as error:  # no home
        logger.warning('text cache: %s; going on without it', error)
        return None


def as_bytes(value: Tensor) -> memoryview:
    """A tensor's bytes, whatever its dtype and device."""
    return memoryview(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
