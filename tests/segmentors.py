"""Small segmentors for the tests that face MMSeg.

pixel_segmentor   no CLIP: patch means of the image are the tokens (c = 3: R, G, B) and the texts are given, so that
                  a test draws the logits it wants
golden_segmentor  the towers of the golden numbers with given texts
word_config       a CLIP of three blocks that knows open_clip's whole vocabulary, as a config
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import golden
import golden_weights
from mmseg_clipsurgery.segmentor import CLIPSurgerySegmentor
from mmseg_clipsurgery.structures import ImageTokens, TextQueries
from mmseg_clipsurgery.vocabulary import Vocabulary

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

NO_STATISTICS = dict(type='CLIPSurgeryDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, bgr_to_rgb=True)
TINY = {
    'embed_dim': 32,
    'quick_gelu': True,
    'vision_cfg': {'image_size': 32, 'patch_size': 8, 'width': 64, 'layers': 3, 'head_width': 32},
    'text_cfg': {'width': 32, 'layers': 1, 'heads': 2, 'context_length': 12, 'vocab_size': 49408},
}
SURGERY = dict(last_blocks=2, affinity='vv', position='bilinear')
WORDS = ['background', ['cat', 'kitten'], 'dog', 'red car']


class PixelTower(BaseModule):
    """Tokens are means of patches; `batches` keeps the windows it read, "b 3 h w" each."""

    mean, std, label = (0.0,) * 3, (1 / 255,) * 3, 'the pixel tower'

    def __init__(self, patch: int = 1):
        super().__init__()
        self.patch = patch
        self.batches: list[Tensor] = []

    def forward(self, images: Tensor, class_token: bool = True) -> ImageTokens:
        self.batches.append(images.clone())
        return ImageTokens(images.mean(dim=(2, 3)), F.avg_pool2d(images, self.patch))


class FixedTexts(BaseModule):
    """Texts that are given: embeddings "q c", words as a vocabulary takes them."""

    def __init__(self, embeddings: Tensor, words: Sequence, empty: Tensor | None = None):
        super().__init__()
        self.vocabulary = Vocabulary.read(words)
        self.queries = TextQueries(embeddings, torch.tensor(self.vocabulary.class_of), empty)

    def forward(self) -> TextQueries:
        return self.queries


def pixel_segmentor(
    texts: Tensor,
    words: Sequence,
    patch: int = 1,
    empty: Tensor | None = None,
    head: dict | None = None,
    **test_cfg,
) -> CLIPSurgerySegmentor:
    """A segmentor whose logits are the cosines of patch means and `texts` "q 3"."""
    return MODELS.build(
        dict(
            type='CLIPSurgerySegmentor',
            backbone=dict(type=PixelTower, patch=patch),
            text_encoder=dict(type=FixedTexts, embeddings=texts, words=words, empty=empty),
            decode_head=dict(type='SurgeryHead', **(head or {})),
            data_preprocessor=NO_STATISTICS,
            test_cfg=test_cfg,
        )
    )


def golden_segmentor(
    texts: Tensor, words: Sequence, surgery: str | dict = 'clip_surgery', **test_cfg
) -> CLIPSurgerySegmentor:
    """`vit_dev` of the golden numbers with texts "q 64"."""
    model = MODELS.build(
        dict(
            type='CLIPSurgerySegmentor',
            backbone=dict(type='CLIPSurgeryViT', arch=golden.ARCHITECTURES['vit_dev'], surgery=surgery),
            text_encoder=dict(type=FixedTexts, embeddings=texts, words=words),
            test_cfg=test_cfg,
        )
    )
    model.backbone.visual.load_state_dict(seeded(model.backbone.visual, golden.SEEDS['vit_dev'], 'visual.'))
    return model


def seeded(module: nn.Module, seed: int, prefix: str = '') -> dict[str, Tensor]:
    """A state dict for a module, each tensor a function of its name and the seed."""
    return {
        name: golden_weights.tensor(prefix + name, value.shape, seed)
        for name, value in module.state_dict().items()
    }


def word_config(words: Any = WORDS, pretrained: str | Path | None = None, **test_cfg) -> dict:
    """Config of a segmentor over `TINY`; words as a vocabulary takes them."""
    weights = dict(arch=TINY, pretrained=pretrained and str(pretrained))
    return dict(
        type='CLIPSurgerySegmentor',
        backbone=dict(type='CLIPSurgeryViT', surgery=SURGERY, **weights),
        text_encoder=dict(
            type='OpenCLIPTextEncoder', vocabulary=words, templates='bare', text_cache=False, **weights
        ),
        decode_head=dict(type='SurgeryHead'),
        test_cfg=test_cfg,
    )


@cache
def clip_weights(seed: int) -> dict[str, Tensor]:
    """A whole CLIP over `TINY`, as its own weights file would hold it."""
    model = MODELS.build(word_config())
    visual = seeded(model.backbone.visual, seed, 'visual.')
    return {f'visual.{name}': value for name, value in visual.items()} | seeded(model.text_encoder.text, seed)


def word_segmentor(words: Any = WORDS, seed: int = 1, **test_cfg) -> CLIPSurgerySegmentor:
    """`word_config` with seeded weights."""
    model = MODELS.build(word_config(words, **test_cfg))
    weights = clip_weights(seed)
    model.backbone.visual.load_state_dict(
        {name.removeprefix('visual.'): value for name, value in weights.items() if name.startswith('visual.')}
    )
    model.text_encoder.text.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith('visual.')}
    )
    return model


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
