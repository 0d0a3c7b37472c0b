"""Texts to token ids, by the tokenizer a model was trained with."""

import gzip
import hashlib
import inspect
from functools import cached_property, lru_cache, partial
from threading import Lock

import open_clip
import torch
from torch import Tensor

from ..environment.files import decoding, reason
from ..environment.paths import user_path
from .remote_code import looked_at, refuse_code
from .sources import Source

# What tokenizer_kwargs may hold: settings of open_clip's own. transformers' would say where to fetch from, and what.
SETTINGS = {
    'additional_special_tokens',
    'bpe_path',
    'clean',
    'context_length',
    'language',
    'reduction_mask',
    'strip_sep_token',
    'tokenizer_mode',
}
MOST_MERGES = 64 << 20  # bytes; OpenAI's have 3 million
TOKENIZING = Lock()  # those of Hugging Face are changed while they read, and refuse a second thread
# open_clip's own tokenizer by its settings, shared by all models of a process: 49,000 merges take 0.2 s to read.
SHARED: dict[str, open_clip.SimpleTokenizer] = {}


class Tokenizer:
    """Texts to token ids, as the model was trained.

    Args:
        source: what `resolve` returned; `text_cfg` names the tokenizer, and a relative `bpe_path` in its
            `tokenizer_kwargs` is found in the model's folder.

    Raises:
        ValueError: a tokenizer that can't be read, or that names code (see `remote_code`).
    """

    def __init__(self, source: Source):
        text = source.config['text_cfg']
        self.context_length = text.get('context_length', 77)
        self.vocab_size = text.get('vocab_size', 49408) if 'hf_tokenizer_name' not in text else None
        settings = dict(text.get('tokenizer_kwargs') or {})
        check_settings(settings)
        if name := text.get('hf_tokenizer_name'):
            if source.folder and (source.folder / 'tokenizer_config.json').is_file():
                name = str(source.folder)
            if text.get('tokenizer_mode'):
                settings['tokenizer_mode'] = text['tokenizer_mode']
            self.tokenize = hugging_face_tokenizer(name, settings, source.fetches)
        else:
            if source.folder and isinstance(settings.get('bpe_path'), str):
                settings['bpe_path'] = str(source.folder / settings['bpe_path'])
            simple = simple_tokenizer(settings)
            self.tokenize = simple if callable(simple) else partial(tokenize_simply, simple)

    def __call__(self, texts: list[str]) -> Tensor:
        """Texts -> ids "t l", int64, l the context length; longer texts are cut.

        Raises:
            ValueError: the tokenizer gives ids the text tower has no embedding for.
        """
        with TOKENIZING:
            ids = self.tokenize(texts, context_length=self.context_length)
        if self.vocab_size is not None and ids.max() >= self.vocab_size:
            raise ValueError(
                f'the tokenizer gives ids up to {int(ids.max())}, the text tower knows {self.vocab_size}; '
                'name the right merges file in text_cfg.tokenizer_kwargs.bpe_path'
            )
        return ids

    def cut(self, texts: list[str], ids: Tensor) -> list[int]:
        """Which texts are longer than the context, so that their ends are not read.

        Args:
            texts: any.
            ids: theirs, "t l".

        Returns:
            Their indices: with room for one token more, another token stands where a cut text has its end.
        """
        with TOKENIZING:
            longer = self.tokenize(texts, context_length=self.context_length + 1)
        return (longer[:, : ids.shape[1]] != ids).any(dim=1).nonzero()[:, 0].tolist()

    @cached_property
    def padding(self) -> int:
        """The id that fills a row behind its text."""
        with TOKENIZING:
            return int(self.tokenize([''], context_length=self.context_length)[0, -1])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the tokenizer knows: its tokens with their ids, and its merges."""
        return fingerprint(getattr(self.tokenize, 'args', [self.tokenize])[0])  # `tokenize_simply` holds it


@lru_cache(maxsize=4)
def fingerprint(known: open_clip.tokenizer.HFTokenizer | open_clip.SimpleTokenizer) -> str:
    """SHA-256 of a tokenizer's tokens with their ids, and of its merges; 0.3 s for 49,000, so kept."""
    inner = getattr(known, 'tokenizer', None)
    tokens = inner.get_vocab() if inner is not None else known.encoder
    merges = list(getattr(known, 'bpe_ranks', {}))
    return hashlib.sha256(repr((sorted(tokens.items()), merges)).encode()).hexdigest()


def check_settings(settings: dict) -> None:
    """Refuse settings of a tokenizer that name code or are no settings of open_clip's. Raises ValueError."""
    refuse_code(settings, 'tokenizer_kwargs')
    if unknown := sorted(map(str, set(settings) - SETTINGS)):
        raise ValueError(
            f"tokenizer_kwargs holds {', '.join(unknown)}, which is no setting of open_clip's tokenizers "
            f'({", ".join(sorted(SETTINGS))}); remove it'
        )


def hugging_face_tokenizer(name: str, settings: dict, fetches: bool) -> open_clip.tokenizer.HFTokenizer:
    """A tokenizer of transformers, which is told not to run code of the model, nor to ask whether it may.

    Args:
        name: a folder or a repository of the hub.
        settings: what `check_settings` let pass.
        fetches: whether a repository may be downloaded.
    """
    name = looked_at(name, fetches)
    parameters = inspect.signature(open_clip.tokenizer.HFTokenizer.__init__).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        settings = settings | {'trust_remote_code': False}
    try:
        return open_clip.tokenizer.HFTokenizer(name, **settings)
    except Exception as error:  # the hub's, transformers' and the tokenizers' own errors have no common base
        raise ValueError(
            f'the tokenizer {name} could not be loaded ({reason(error)}); correct text_cfg, or install transformers'
        ) from error


def simple_tokenizer(settings: dict) -> open_clip.SimpleTokenizer:
    """open_clip's own tokenizer. Raises ValueError or FileNotFoundError for merges or settings that are none."""
    path = settings.get('bpe_path')
    if path is None:
        path = 'tokenizer_kwargs'
    elif not isinstance(path, str) or not user_path(path).is_file():
        raise FileNotFoundError(
            f'the merges file {path!r} of text_cfg.tokenizer_kwargs.bpe_path does not exist'
        )
    with decoding(path, "file of a tokenizer's merges or settings", 'fetch it again or correct it'):
        if path != 'tokenizer_kwargs':
            refuse_bomb(path)
            tokenizer = open_clip.SimpleTokenizer(**settings)
            if not any(len(pair) == 2 for pair in tokenizer.bpe_ranks):
                raise ValueError('it holds no merges')
            return tokenizer
        key = repr(sorted(settings.items()))
        if key not in SHARED:
            SHARED[key] = open_clip.SimpleTokenizer(**settings)
        return SHARED[key]


def refuse_bomb(path: str) -> None:
    """Refuse a compressed file of merges that unpacks to more than any has. Raises ValueError."""
    with gzip.open(path) as file:
        if len(file.read(MOST_MERGES + 1)) > MOST_MERGES:
            raise ValueError(f'it unpacks to more than {MOST_MERGES:,} bytes')


def tokenize_simply(tokenizer: open_clip.SimpleTokenizer, texts: list[str], context_length: int) -> Tensor:
    """Ids "t l" with open_clip's own tokenizer, for releases whose tokenizer only has `encode` (2.20)."""
    start, end = tokenizer.all_special_ids[:2]
    ids = torch.zeros(len(texts), context_length, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        tokens = [start, *tokenizer.encode(text)[: context_length - 2], end]
        row[: len(tokens)] = torch.tensor(tokens)
    return ids
