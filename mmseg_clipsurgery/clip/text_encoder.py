"""Words to text queries: every word through every template, encoded once.

    T_word = norm(mean over templates of norm(E(template with word)))          CLIP's zero-shot recipe

A causal tower that pools at its end token cannot see what stands behind it, so a batch is cut to its longest text:
the same result for a fraction of the cost. Texts are sorted by length for that. Other towers (no causal mask, other
pooling, a class embedding, Hugging Face models) are encoded by open_clip at full length.

Words that the tower can't tell apart (other strings, the same tokens up to where it pools, or the same embedding: 'Cat'
and 'cat', or texts that the context cuts to the same) would tie without a word, so they are refused where they are of
different classes; what is cut and can be told apart is warned of.

Texts are embedded at the first prediction, not in the constructor, since weights may be loaded in between; the result
is kept in memory and in a disk cache (`text_cache`) under a key of everything it depends on.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..environment.numbers import check_count
from ..inference.precision import weights_version
from ..structures import TextQueries
from ..vocabulary import TemplatesSpec, Vocabulary, VocabularySpec, read_templates
from .blocks import TransformerBlock, unknown_parameters
from .building import build_text_tower
from .containers import listed
from .sources import resolve
from .text_cache import disk_cache
from .tokenizer import Tokenizer
from .twins import alike, cannot_tell, refuse_twins, shortened

logger = logging.getLogger('mmseg_clipsurgery')

MOST_KEPT, MOST_KEPT_BYTES = 64, 256 << 20  # word lists in memory; the last one is kept whatever its size


class OpenCLIPTextEncoder(nn.Module):
    """Embeds a vocabulary with open_clip's text tower.

    Args:
        arch, pretrained, quick_gelu, checksum, cache_dir: as for `CLIPSurgeryViT`; the same file serves both towers.
        vocabulary: a shipped name, a list of words or of lists of synonyms, a text file, or None (words come with
            each call).
        templates: a shipped name ('imagenet80', 'clip_surgery85', 'photo', 'bare'), a list, or a text file.
        batch_tokens: texts are encoded in batches of about this many tokens.
        text_cache: folder of the embeddings' disk cache; None or True: the default folder; False: no disk cache.

    Raises:
        ValueError, FileNotFoundError: unknown vocabulary, template, arch or weights.
    """

    def __init__(
        self,
        arch: str | Path | Mapping,
        pretrained: str | Path | None = None,
        vocabulary: VocabularySpec = None,
        templates: TemplatesSpec = 'imagenet80',
        quick_gelu: bool | None = None,
        checksum: str | None = None,
        cache_dir: str | None = None,
        batch_tokens: int = 8192,
        text_cache: str | Path | bool | None = None,
    ):
        super().__init__()
        check_count('batch_tokens', batch_tokens)
        self.vocabulary = Vocabulary.read(vocabulary)
        self.templates = read_templates(templates)
        self.source = resolve(arch, pretrained, quick_gelu, checksum, cache_dir)
        self.text = build_text_tower(self.source)
        self.batch_tokens = batch_tokens
        self.cache = disk_cache(text_cache)
        self._tokenizer: Tokenizer | None = None
        self._kept: dict[tuple, Tensor] = {}
        self._told: set[tuple] = set()  # words, and from which others they were told apart
        self.eval()

    def train(self, mode: bool = True):
        """CLIP is only read: the tower stays in eval mode."""
        return super().train(False)

    def forward(self, vocabulary: VocabularySpec = None) -> TextQueries:
        """Embed a vocabulary (default: the encoder's own), from memory or the disk cache where possible.

        Returns:
            TextQueries on the tower's device, fp32; with the empty string's embedding where the vocabulary has one
            class (its only use).

        Raises:
            ValueError: no vocabulary, here or in the constructor, or see `embed_words`.
        """
        vocabulary = Vocabulary.read(vocabulary) or self.vocabulary
        if vocabulary is None:
            raise ValueError(
                'no vocabulary: give one to OpenCLIPTextEncoder(vocabulary=...) or with the call'
            )
        words = vocabulary.queries + (('',) if vocabulary.num_classes == 1 else ())
        groups = vocabulary.class_of + (-1,) * (len(words) - len(vocabulary.queries))
        embeddings = self.embed_words(words, groups)
        class_of = torch.tensor(vocabulary.class_of, device=embeddings.device)
        count = len(vocabulary.queries)
        return TextQueries(embeddings[:count], class_of, embeddings[count:] if len(words) > count else None)

    def embed_words(
        self, words: Sequence[str], groups: Sequence[int] | None = None, apart_from: Sequence[str] = ()
    ) -> Tensor:
        """Words -> "q c", L2-normalised, averaged over the templates; fp32, on the tower's device.

        Args:
            words: any; the same one may stand there twice.
            groups: of each word, its class; None: each is told from every other.
            apart_from: words of another list, from which these are told as well, where each is a group of its own.

        Raises:
            ValueError: two words of different groups have the same tokens in every template, or the same embedding.
        """
        device = self.text_device
        key = (tuple(words), device, weights_version(self.text))
        told = (key, groups and tuple(groups), tuple(apart_from))
        found = self._kept.get(key)
        if found is None or told not in self._told:
            # Autocast would leave its rounding in the disk cache, under the key of the exact numbers.
            exact = torch.autocast(device.type, enabled=False)
            with torch.inference_mode(False), torch.no_grad(), exact:
                if apart_from:
                    self.tell_apart([*words, *apart_from])
                ids = self.tell_apart(words, groups)
                if found is None:
                    found = self._cached_embeddings(words, ids).to(device)
                refuse_twins(words, groups, found)
            self._keep(key, found)
            self._told.add(told)
        return found

    def _keep(self, key: tuple, embeddings: Tensor) -> None:
        """Keep what was embedded, in place of all before where that is too much.

        Another thread may do so at the same time, so nothing is read back.
        """
        before = list(self._kept.values())
        taken = embeddings.nbytes + sum(value.nbytes for value in before)
        if len(before) >= MOST_KEPT or taken > MOST_KEPT_BYTES:
            self._kept.clear()
            self._told.clear()
        self._kept[key] = embeddings

    def tell_apart(self, words: Sequence[str], groups: Sequence[int] | None = None) -> Tensor:
        """Refuse words that the tower can't tell apart, warn of those that are cut; arguments as `embed_words`.

        Returns:
            Token ids "t l" of the first word in every template, then of every word in the longest template.
        """
        first = self.tokenizer(self.texts(words[:1]))
        longest = self.templates[int((first != self.tokenizer.padding).sum(dim=1).argmax())]
        texts = self.texts(words, [longest])
        ids = self.tokenizer(texts)
        if cut := self.tokenizer.cut(texts, ids):
            logger.warning(
                'the text tower reads %d tokens and cuts the longest template with %s',
                self.tokenizer.context_length,
                listed([repr(shortened(words[index])) for index in cut]),
            )
        for pair in alike(words, groups, map(tuple, self.read_part(ids).tolist())):
            every = self.read_part(self.tokenizer(self.texts(pair))).chunk(2)
            if torch.equal(*every):
                reads = f'tokens are the same, of which it reads {self.tokenizer.context_length}'
                raise ValueError(cannot_tell(pair, reads))
        return torch.cat([first, ids])

    def read_part(self, ids: Tensor) -> Tensor:
        """Token ids "t l" without what cannot matter: where a tower is causal, what stands behind its end token."""
        if not self.cuts_text:
            return ids
        behind = torch.arange(ids.shape[1]) > self.end_positions(ids)[:, None]
        return ids.masked_fill(behind, self.tokenizer.padding)

    @property
    def text_device(self) -> torch.device:
        return next(self.text.parameters()).device

    def _cached_embeddings(self, words: Sequence[str], ids: Tensor) -> Tensor:
        if self.cache is None:
            return self._average(self.texts(words), len(words))
        texts = {
            'words': list(words),
            'templates': list(self.templates),
            'tokenizer': self.tokenizer.fingerprint,
        }
        # The ids of every template once and of every word once: the rest takes longer to tokenize than all else of a
        # second start.
        key = self.cache.key(self.text, self.source.config, self.source.quick_gelu, texts, ids)
        found = self.cache.read(key, (len(words), self.source.config['embed_dim']))
        if found is None:
            found = self._average(self.texts(words), len(words)).cpu()
            self.cache.write(key, found)
        return found

    def texts(self, words: Sequence[str], templates: Sequence[str] | None = None) -> list[str]:
        """Every word in every template (the encoder's own by default), word by word."""
        return [template.replace('{}', word) for word in words for template in templates or self.templates]

    def _average(self, texts: list[str], count: int) -> Tensor:
        """Texts of `count` words -> word embeddings "q c"."""
        encoded = F.normalize(self.encode_tokens(self.tokenizer(texts)).float(), dim=-1)
        return F.normalize(encoded.unflatten(0, (count, -1)).mean(dim=1), dim=-1)

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(self.source)
        return self._tokenizer

    def encode_tokens(self, ids: Tensor) -> Tensor:
        """Token ids "t l" -> text features "t c" in the joint space, not normalised.

        Texts are encoded in batches of similar length, each cut to its longest text where the tower allows.
        """
        ids = ids.to(self.text_device)
        if not self.cuts_text:
            parts = ids.split(max(1, self.batch_tokens // ids.shape[1]))
            return torch.cat([self.encode_whole(part) for part in parts])
        ends = self.end_positions(ids)
        order = ends.argsort(stable=True)
        features = None
        for batch in self.batches(ends[order]):
            rows = order[batch]
            part = self.encode_cut(ids[rows], ends[rows])
            features = part.new_empty(len(ids), part.shape[1]) if features is None else features
            features[rows] = part
        return features

    def batches(self, ends: Tensor) -> list[slice]:
        """Slices over texts sorted by length, each about `batch_tokens` long when cut."""
        lengths, batches, start = (ends + 1).tolist(), [], 0
        for stop in range(1, len(lengths) + 1):
            if stop == len(lengths) or (stop + 1 - start) * lengths[stop] > self.batch_tokens:
                batches.append(slice(start, stop))
                start = stop
        return batches

    @property
    def cuts_text(self) -> bool:
        """Whether the tower is causal and pools at its end token, so that what follows it cannot matter."""
        tower = self.text
        return (
            getattr(tower, 'attn_mask', None) is not None
            and getattr(tower, 'cls_emb', None) is None
            and not getattr(tower, 'use_pad_mask', False)
            and getattr(tower, 'pool_type', 'argmax') in ('argmax', 'eos')
            and not unknown_parameters(tower.transformer.resblocks)
        )

    def end_positions(self, ids: Tensor) -> Tensor:
        """Where each text ends: the highest id (OpenAI's rule) or the tower's own end token. "t l" -> "t"."""
        if getattr(self.text, 'pool_type', 'argmax') == 'eos':
            return (ids == self.text.eos_id).int().argmax(dim=1)
        return ids.argmax(dim=1)

    def encode_whole(self, ids: Tensor) -> Tensor:
        """One batch at full length, by open_clip. ids "t l" -> "t c"; tokens that come along are left out."""
        encoded = self.text(ids)
        return encoded[0] if isinstance(encoded, tuple) else encoded

    def encode_cut(self, ids: Tensor, ends: Tensor) -> Tensor:
        """One batch, cut to its longest text. ids "t l", ends "t" -> "t c"."""
        tower = self.text
        length = int(ends.max()) + 1
        x = tower.token_embedding(ids[:, :length]) + tower.positional_embedding[:length]
        heads = self.source.config['text_cfg'].get('heads', 8)
        for block in tower.transformer.resblocks:
            x = TransformerBlock(block, heads).run(x, causal=True)
        pooled = tower.ln_final(x)[torch.arange(len(ids), device=ids.device), ends]
        projection = tower.text_projection
        if projection is None:
            return pooled
        return projection(pooled) if callable(projection) else pooled @ projection
