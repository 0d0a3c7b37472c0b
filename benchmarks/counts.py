"""Floating-point operations and bytes on paper; a multiplication with its addition counts as two operations.

One block on n tokens of width d:       q, k, v 6 n d^2    attention 4 n^2 d    output 2 n d^2    MLP 16 n d^2
side read of one block:                 attention 4 n^2 d    output 2 n d^2
last block under a surgery:             those of q, k, v that it reads, 2 n d^2 each; the side read; and one
                                        token of all else (none without class token)
text tower:                             its blocks, on texts cut to the longest of their batch
labels of H x W pixels, q queries:      each row of tiles to the image's width, then `sources` of them for each pixel

Bytes: weights are read once for each window batch; every operator of a block reads its inputs and writes its outputs
once (`BLOCK_PASSES` times n d values, attention matrices never written); logits are written once and read once by what
makes labels of them, strip by strip, so most of that stays in a cache.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

FP32 = 4
# LN 2, q k v 1 + 3, attention 3 + 1, output 1 + 1, sum 3; LN 2, MLP 1 + 4, activation 4 + 4, 4 + 1, sum 3
BLOCK_PASSES = 38
SIDE_PASSES = 3 + 1 + 1 + 1 + 3


class Count(NamedTuple):
    """Floating-point operations and bytes."""

    flop: float
    bytes: float

    def __add__(self, other: 'Count') -> 'Count':  # type: ignore[override]
        return Count(self.flop + other.flop, self.bytes + other.bytes)

    def times(self, factor: float) -> 'Count':
        return Count(self.flop * factor, self.bytes * factor)


class Tower(NamedTuple):
    """Sizes of a ViT."""

    width: int
    blocks: int
    patch: int
    joint: int
    parameters: int

    @classmethod
    def of(cls, tower: CLIPSurgeryViT) -> 'Tower':
        vision: dict[str, Any] = tower.config['vision_cfg']
        parameters = sum(value.numel() for value in tower.visual.parameters())
        return cls(vision['width'], vision['layers'], tower.patch, tower.config['embed_dim'], parameters)

    def tokens(self, size: tuple[int, int]) -> int:
        """Tokens of an image or window of (H, W) pixels, the class token included."""
        return 1 + (size[0] // self.patch) * (size[1] // self.patch)

    def embedding(self, n: int) -> Count:
        values = 3 * self.patch**2
        return Count(2 * n * values * self.width, FP32 * n * (values + 4 * self.width))

    def block(self, n: int) -> Count:
        d = self.width
        return Count(24 * n * d**2 + 4 * n**2 * d, FP32 * BLOCK_PASSES * n * d)

    def side(self, n: int) -> Count:
        d = self.width
        return Count(2 * n * d**2 + 4 * n**2 * d, FP32 * SIDE_PASSES * n * d)

    def last_block(self, n: int, class_token: bool) -> Count:
        """What `clip_surgery` needs of the last block: v alone; with the class token also k and one token's way."""
        d = self.width
        one = 20 * d**2 + 4 * n * d if class_token else 0
        made = 2 if class_token else 1
        return Count(2 * made * n * d**2 + one, FP32 * (3 + made) * n * d)

    def projection(self, n: int) -> Count:
        return Count(2 * n * self.width * self.joint, FP32 * n * (3 * self.width + self.joint))

    def plain(self, size: tuple[int, int], windows: int = 1) -> Count:
        """open_clip's own forward of a batch of windows: only the class token is projected."""
        n = self.tokens(size)
        one = self.embedding(n) + self.block(n).times(self.blocks) + self.projection(1)
        return one.times(windows) + self.weights()

    def surgery(
        self, size: tuple[int, int], last_blocks: int, class_token: bool = False, windows: int = 1
    ) -> Count:
        """The tower under `clip_surgery`, or fewer of its blocks."""
        n = self.tokens(size)
        whole = self.embedding(n) + self.block(n).times(self.blocks - 1) + self.last_block(n, class_token)
        one = whole + self.side(n).times(last_blocks) + self.projection(n)
        return one.times(windows) + self.weights()

    def published(self, size: tuple[int, int], last_blocks: int) -> Count:
        """The published steps' tower: both paths to the end, softmax matrices written and read (four times each)."""
        n = self.tokens(size)
        heads = self.width // 64
        matrices = Count(0, FP32 * 2 * 4 * heads * n**2).times(last_blocks)
        whole = self.embedding(n) + self.block(n).times(self.blocks) + self.side(n).times(last_blocks)
        return whole + matrices + self.projection(n) + self.weights()

    def weights(self) -> Count:
        return Count(0, FP32 * self.parameters)


class TextTower(NamedTuple):
    """Sizes of a text tower."""

    width: int
    blocks: int
    joint: int
    parameters: int

    @classmethod
    def of(cls, encoder: OpenCLIPTextEncoder) -> 'TextTower':
        text: dict[str, Any] = encoder.source.config['text_cfg']
        parameters = sum(value.numel() for value in encoder.text.transformer.parameters())
        return cls(text['width'], text['layers'], encoder.source.config['embed_dim'], parameters)

    def encode(self, batches: Sequence[tuple[int, int]]) -> Count:
        """Batches of (texts, tokens of each); causal attention counted in full."""
        d, total = self.width, Count(0, 0)
        for texts, n in batches:
            block = Count(24 * n * d**2 + 4 * n**2 * d, FP32 * BLOCK_PASSES * n * d)
            ends = Count(2 * d * self.joint, FP32 * (4 * n * d + self.joint))
            total += (block.times(self.blocks) + ends).times(texts) + Count(0, FP32 * self.parameters)
        return total


def similarity(patches: int, queries: int, joint: int) -> Count:
    """Cosines of patches and queries."""
    return Count(
        2 * patches * queries * joint, FP32 * (patches * joint + queries * joint + patches * queries)
    )


def strips(tiles: tuple[int, int], size: tuple[int, int], queries: int, sources: int = 2) -> Count:
    """Logits of an image (H, W) from tiles (Y, X), each pixel from `sources` rows of tiles, written and read once."""
    (rows, columns), (height, width) = tiles, size
    drawn = 2 * rows * columns * width * queries
    return Count(drawn + 2 * sources * height * width * queries, 2 * FP32 * height * width * queries)


def published_labels(n: int, joint: int, classes: int, size: tuple[int, int]) -> Count:
    """Feature surgery by way of (n, k, c): three such arrays written and read; then min-max, resize, argmax."""
    values, logits = n * classes * joint, size[0] * size[1] * classes
    return Count(5 * values + 8 * logits, FP32 * (6 * values + 3 * logits))
