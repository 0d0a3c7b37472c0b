"""Small segmentors for the tests that face MMSeg.

pixel_segmentor   no CLIP: patch means of the image are the tokens (c = 3: R, G, B) and the texts are given, so that
                  a test draws the logits it wants
golden_segmentor  the towers of the golden numbers with given texts
word_segmentor    a tiny CLIP with seeded weights that knows open_clip's whole vocabulary, to be asked for words
"""

from collections.abc import Sequence
from typing import Any

import golden
import tiny
from mmseg_clipsurgery.models.segmentor import CLIPSurgerySegmentor
from mmseg_clipsurgery.structures import ImageTokens, TextQueries
from mmseg_clipsurgery.surgery import SURGERIES
from mmseg_clipsurgery.vocabulary import Vocabulary

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

RAW_PIXELS = dict(type='CLIPSurgeryDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=True)
ARCH = tiny.changed(tiny.SMALL, text_cfg={'vocab_size': 49408})  # patch 4
SURGERY = dict(last_blocks=2, affinity='vv', position='bilinear')
WORDS = ['background', ['cat', 'kitten'], 'dog', 'red car']


class PixelTower(BaseModule):
    """Tokens are means of patches; `batches` keeps the windows it read, "b 3 h w" each."""

    mean, std, label = (0.0,) * 3, (1 / 255,) * 3, 'the pixel tower'

    def __init__(self, patch: int = 1):
        super().__init__()
        self.patch, self.surgery = patch, SURGERIES['clip']
        self.batches: list[Tensor] = []

    def forward(self, images: Tensor, class_token: bool = True, surgery: Any = None) -> ImageTokens:
        self.batches.append(images.clone())
        return ImageTokens(images.mean(dim=(2, 3)), F.avg_pool2d(images, self.patch))


class FixedTexts(BaseModule):
    """Texts that are given: embeddings "q c", words as a vocabulary takes them."""

    def __init__(self, embeddings: Tensor, words: Any, empty: Tensor | None = None):
        super().__init__()
        self.vocabulary = Vocabulary.read(words)
        self.queries = TextQueries(embeddings, torch.tensor(self.vocabulary.class_of), empty)

    def forward(self) -> TextQueries:
        return self.queries


def pixel_segmentor(
    texts: Tensor,
    words: Any,
    patch: int = 1,
    empty: Tensor | None = None,
    head: dict | None = None,
    **test_cfg: Any,
) -> CLIPSurgerySegmentor:
    """A segmentor whose logits are the cosines of patch means and `texts` "q 3"."""
    return MODELS.build(
        dict(
            type='CLIPSurgerySegmentor',
            backbone=dict(type=PixelTower, patch=patch),
            text_encoder=dict(type=FixedTexts, embeddings=texts, words=words, empty=empty),
            decode_head=dict(type='SurgeryHead', **(head or {})),
            data_preprocessor=RAW_PIXELS,
            test_cfg=test_cfg,
        )
    )


def golden_segmentor(
    texts: Tensor, words: Any, surgery: Any = 'clip_surgery', head: dict | None = None, **test_cfg: Any
) -> CLIPSurgerySegmentor:
    """`vit_dev` of the golden numbers (patch 16) with `texts` "q 64"."""
    weights = tiny.weights_file(tiny.VIT, golden.SEEDS['vit_dev'])
    return MODELS.build(
        dict(
            type='CLIPSurgerySegmentor',
            backbone=dict(type='CLIPSurgeryViT', arch=tiny.VIT, pretrained=str(weights), surgery=surgery),
            text_encoder=dict(type=FixedTexts, embeddings=texts, words=words),
            decode_head=dict(type='SurgeryHead', **(head or {})),
            test_cfg=test_cfg,
        )
    )


def word_config(words: Any = WORDS, seed: int | None = 1, templates: Any = 'bare', **test_cfg: Any) -> dict:
    """Config of a segmentor over `ARCH`; words as a vocabulary takes them, seed None: random weights."""
    tower = dict(arch=ARCH, pretrained=None if seed is None else str(tiny.weights_file(ARCH, seed)))
    return dict(
        type='CLIPSurgerySegmentor',
        backbone=dict(type='CLIPSurgeryViT', surgery=SURGERY, **tower),
        text_encoder=dict(
            type='OpenCLIPTextEncoder', vocabulary=words, templates=templates, text_cache=False, **tower
        ),
        decode_head=dict(type='SurgeryHead'),
        test_cfg=test_cfg,
    )


def word_segmentor(words: Any = WORDS, seed: int | None = 1, **test_cfg: Any) -> CLIPSurgerySegmentor:
    """The segmentor of `word_config`."""
    return MODELS.build(word_config(words, seed, **test_cfg))


def images(*sizes: tuple[int, int], seed: int = 0) -> list[Tensor]:
    """White noise of the sizes (H, W), as if normalised."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(3, *size, generator=random) for size in sizes]


def texts(count: int, dim: int = 3, seed: int = 0) -> Tensor:
    """Random unit vectors "q c"."""
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def samples(*metas: dict) -> list[SegDataSample]:
    return [SegDataSample(metainfo=meta) for meta in metas]


def labels(predictions: Sequence[SegDataSample]) -> list[Tensor]:
    """Label maps "H W" of predictions."""
    return [prediction.pred_sem_seg.data[0] for prediction in predictions]


def assert_same_labels(found: Tensor, expected: Tensor, scores: Tensor, margin: float = 1e-4) -> None:
    """Labels "H W" equal but where the two best of the scores "k H W" are nearer than the margin."""
    best = scores.topk(2, dim=0).values
    clear = best[0] - best[1] >= margin
    assert clear.float().mean() > 0.9, 'the scores decide too few pixels for a test'
    assert torch.equal(found[clear], expected[clear])
