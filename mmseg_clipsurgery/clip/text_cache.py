"""Text embeddings on disk: written whole or not at all, read only when they fit and are sound.

A key is the SHA-256 of everything an embedding depends on: the text tower's tensors, its config and activation, words,
templates and tokenizer. Not the token ids of every word in every template, which take longer than all else; but those
of some texts, so that a tokenizer which reads the same tokens otherwise is another one. A file is written under a
temporary name and renamed, so that processes can share the folder without a lock. Each file carries its key and the
SHA-256 of its numbers: one that is damaged, of another key or shape, not finite, or that another user may have written
(`environment.ownership`) is rebuilt.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
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


class TextCache:
    """A folder of text embeddings.

    Args:
        folder: where files are kept; None: `text` in the package's cache folder.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder).expanduser() if folder else cache_folder() / 'text'

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
        except (OSError, SafetensorError) as error:
            logger.warning('text cache: %s cannot be written (%s); going on without it', self.folder, error)


def metadata_of(key: str, embeddings: Tensor) -> dict[str, str]:
    """What a file says of itself beside its embeddings."""
    return {'key': key, 'sha256': hashlib.sha256(as_bytes(embeddings)).hexdigest()}


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
