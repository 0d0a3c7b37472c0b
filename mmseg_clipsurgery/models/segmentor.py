"""The segmentor: a photo and words become labels. A recipe over the other files.

    images -> windows -> backbone -> head (x text queries) -> one mosaic of logits per image
    -> flip undone -> resized to the original -> PAMR -> class scores -> thresholds -> labels "1 H W"

The order is that of the public leaderboard (SCLIP's evaluation code and its heirs); it is tested.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..clip.checkpoints import listed
from ..inference.postprocess import PostProcess
from ..inference.precision import TowerRunner
from ..inference.settings import InferenceSettings, check_thresholds, pair
from ..inference.tiled_logits import DenseLogits, TiledLogits
from ..inference.windows import read_images
from ..refine import pamr
from ..structures import TextQueries
from ..visualization.palette import voc_palette
from ..vocabulary import Vocabulary, read_templates
from .preprocessor import check_preprocessor, unpadded

logger = logging.getLogger('mmseg_clipsurgery')


@MODELS.register_module()
class CLIPSurgerySegmentor(BaseSegmentor):
    """Open-vocabulary segmentation without training, inside MMSeg.

    Args:
        backbone: config of `CLIPSurgeryViT` or `CLIPSurgeryResNet`.
        text_encoder: config of `OpenCLIPTextEncoder`; its vocabulary sets the classes.
        decode_head: config of `SurgeryHead`.
        data_preprocessor: config; None: `CLIPSurgeryDataPreProcessor` with the tower's mean and std, BGR input.
        test_cfg: see `InferenceSettings`.
        pretrained: where given, the weights of both towers (as the towers' own `pretrained`).
        train_cfg: must stay None: nothing is trained.

    Raises:
        ValueError: settings that contradict each other or the vocabulary; see the parts.
    """

    def __init__(
        self,
        backbone: Mapping,
        text_encoder: Mapping,
        decode_head: Mapping | None = None,
        data_preprocessor: Mapping | None = None,
        test_cfg: Mapping | None = None,
        pretrained: str | None = None,
        train_cfg: Mapping | None = None,
        init_cfg: Mapping | None = None,
    ):
        if train_cfg is not None:
            raise ValueError(f'train_cfg must be None, got {train_cfg!r}: nothing is trained')
        check_early(text_encoder, test_cfg)
        weights = {} if pretrained is None else {'pretrained': pretrained}
        tower = MODELS.build({**backbone, **weights})
        super().__init__(MODELS.build(data_preprocessor or default_preprocessor(tower)), init_cfg)
        check_preprocessor(self.data_preprocessor, tower)
        self.backbone = tower
        self.text_encoder = MODELS.build({**text_encoder, **weights})
        self.decode_head = MODELS.build(decode_head or dict(type='SurgeryHead'))
        self.settings = InferenceSettings.read(test_cfg, tower.patch)
        self.test_cfg = test_cfg
        self.tower_runner = TowerRunner(self.settings.precision, self.settings.compiled)
        self._palette: Sequence | None = None
        if self.vocabulary is not None:
            self._fit_vocabulary(self.vocabulary)
        self.eval()

    def train(self, mode: bool = True):
        """Nothing is trained: the segmentor stays in eval mode."""
        return super().train(False)

    def _load_from_state_dict(self, state_dict: Mapping, prefix: str, *args) -> None:
        """A state that does not fit is refused, also where MMEngine loads leniently and would go on without it.

        Raises:
            ValueError: names or shapes that are missing, unexpected or different.
        """
        found = {name.removeprefix(prefix): value for name, value in state_dict.items()}
        check_state(self.state_dict(), found)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _fit_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Make head and settings agree with the vocabulary, or say why they don't."""
        if vocabulary.num_classes == 1 and vocabulary.has_background:
            raise ValueError('the vocabulary is background alone, so there is nothing to find; add a word')
        head, count = self.decode_head, len(self.class_names)
        if head.num_classes not in (None, count):
            raise ValueError(
                f'decode_head.num_classes is {head.num_classes}, the vocabulary has {count} classes; leave it out'
            )
        head.num_classes, head.one_word = count, vocabulary.num_classes == 1
        check_thresholds(self.settings, vocabulary)

    @property
    def vocabulary(self) -> Vocabulary | None:
        return self.text_encoder.vocabulary

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels; one word alone has the labels ('background', word)."""
        if self.vocabulary is None:
            return ()
        names = self.vocabulary.classes
        return ('background', *names) if len(names) == 1 else names

    @property
    def dataset_meta(self) -> dict:
        """Class names (the vocabulary's) and palette, for MMSeg's visualisers and inferencers."""
        return {'classes': self.class_names, 'palette': self._palette or voc_palette(len(self.class_names))}

    @dataset_meta.setter
    def dataset_meta(self, meta: Mapping | None) -> None:
        """MMSeg's tools set what they believe; the vocabulary's names stay, a palette for them is taken."""
        meta = meta or {}
        if tuple(meta.get('classes') or ()) == self.class_names and meta.get('palette'):
            self._palette = meta['palette']

    @property
    def num_classes(self) -> int | None:
        return self.decode_head.num_classes

    @property
    def out_channels(self) -> int | None:
        return self.decode_head.out_channels

    @property
    def align_corners(self) -> bool:
        return self.decode_head.align_corners

    def extract_feat(self, inputs: Tensor):
        """Images "b 3 H W" -> `ImageTokens`."""
        return self.backbone(inputs)

    def encode_decode(self, inputs, batch_data_samples=None) -> list[Tensor]:
        """Averaged logits of each image at its own size, each "q H W"; inputs "b 3 H W" or a list of "3 H W"."""
        return self._forward(inputs, batch_data_samples)

    def loss(self, inputs, data_samples):
        """Refused."""
        raise NotImplementedError(
            'CLIPSurgerySegmentor has no loss: nothing is trained. Use tools/test.py, or mode="predict" or "tensor"'
        )

    @torch.inference_mode()
    def _forward(self, inputs, data_samples=None) -> list[Tensor]:
        """Mode 'tensor': as `encode_decode`."""
        metas = [sample.metainfo for sample in data_samples] if data_samples else [{}] * len(inputs)
        images = unpadded(inputs, metas)
        with exact(images):
            queries = self.text_encoder()
        mosaics = self.read(images, queries)
        with exact(images):
            return [mosaic.full() for mosaic in mosaics]

    @torch.inference_mode()
    def predict(self, inputs, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Labels of each image at its original size.

        Args:
            inputs: normalised images, "b 3 H W" or a list of "3 H W" of any sizes.
            data_samples: one per image with `ori_shape`, and what was done to it (padding, flip); None: the
                images are the originals.

        Returns:
            The samples with `pred_sem_seg` "1 H W" (int64) and, with `test_cfg.scores`, `seg_logits` "k H W":
            class scores before thresholds; for one word "1 H W", its single-text similarity. With `test_cfg.maps`
            also `class_maps` "k H W".
        """
        data_samples = data_samples or [SegDataSample() for _ in inputs]
        images = unpadded(inputs, [sample.metainfo for sample in data_samples])
        with exact(images):
            queries = self.text_encoder()
        rule = self.rule(queries)
        mosaics = self.read(images, queries)
        with exact(images):
            for image, mosaic, sample in zip(images, mosaics, data_samples, strict=True):
                self.fill(sample, mosaic, image, queries.empty is not None, rule)
        return data_samples

    def fill(
        self, sample: SegDataSample, mosaic: TiledLogits, image: Tensor, one_word: bool, rule: PostProcess
    ) -> None:
        """Labels, and scores where wanted, of one image into its sample."""
        dims = flipped_dims(sample.metainfo)
        size = tuple(sample.metainfo.get('ori_shape', mosaic.size))[:2]
        mosaic = mosaic.flipped(dims).resized(size)
        refine = self.settings.pamr is not None
        logits = self.refined(mosaic, image.flip(dims) if dims else image) if refine else mosaic
        if self.settings.scores or one_word:
            # One word alone has a single score: its similarity, as it is.
            scores = self.class_maps(logits, rule.over_classes if one_word else rule.class_scores, rule)
            labels = self.labels(scores)
        else:
            labels = rule.label_logits(logits, self.settings.chunk_memory)[None]
        sample.set_data({'pred_sem_seg': PixelData(data=labels)})
        if self.settings.scores:
            sample.set_data({'seg_logits': PixelData(data=scores)})
        if self.settings.maps:
            maps = self.class_maps(logits, rule.over_classes, rule)
            sample.set_data({'class_maps': PixelData(data=maps)})

    def class_maps(
        self, logits: TiledLogits | DenseLogits, to_classes: Callable[[Tensor], Tensor], rule: PostProcess
    ) -> Tensor:
        """A map of each class, "k H W" fp32, drawn chunk by chunk.

        Args:
            logits: of the image.
            to_classes: from a chunk's logits "r W q" to "r W k": the rule's scores, or its maximum over queries, on
                the scale of the head.
            rule: how many classes there are.
        """
        maps = torch.empty(rule.num_classes, *logits.size, dtype=torch.float32, device=rule.class_of.device)
        for rows, chunk in logits.row_chunks(self.settings.chunk_memory):
            maps[:, rows] = to_classes(chunk).permute(2, 0, 1)
        return maps

    def read(self, images: Sequence[Tensor], queries: TextQueries) -> list[TiledLogits]:
        """Averaged logits of images "3 H W", each at its own size."""
        settings, head = self.settings, self.decode_head
        slide = settings.mode == 'slide'
        return read_images(
            images,
            lambda windows: head(self.tower_runner(self.backbone, windows, head.needs_class_token), queries),
            None if settings.crop_size is None or not slide else pair(settings.crop_size),
            None if settings.stride is None or not slide else pair(settings.stride),
            settings.window_batch,
            self.backbone.patch if settings.pad_windows else None,
        )

    def refined(self, mosaic: TiledLogits, image: Tensor) -> DenseLogits:
        """PAMR of the logits at the mosaic's size, guided by the image "3 H W" at that size."""
        guide = F.interpolate(image[None].float(), size=mosaic.size, mode='bilinear')
        logits = pamr(guide, mosaic.full()[None], **(self.settings.pamr or {}))[0]
        return DenseLogits(logits.permute(1, 2, 0).contiguous())

    def rule(self, queries: TextQueries) -> PostProcess:
        settings = self.settings
        return PostProcess(queries.class_of, settings.logit_scale, settings.prob_thd, settings.area_thd)

    def labels(self, scores: Tensor) -> Tensor:
        """Class scores "k H W" -> labels "1 H W"; one word: 1 where its similarity exceeds the head's threshold."""
        if len(scores) == 1:
            return (scores > self.decode_head.threshold).long()
        rule = PostProcess(torch.arange(len(scores)), 1.0, self.settings.prob_thd, self.settings.area_thd)
        return rule.label_scores(scores)[None]


def exact(images: Sequence[Tensor]) -> torch.autocast:
    """No autocast for what is not the image tower; MMEngine's loops may have switched it on for all."""
    return torch.autocast(images[0].device.type if images else 'cpu', enabled=False)


def check_early(text_encoder: Mapping, test_cfg: Mapping | None) -> None:
    """Find mistakes in words and settings before weights are fetched.

    Raises:
        ValueError, FileNotFoundError: see `InferenceSettings`, `Vocabulary.read` and `read_templates`.
    """
    InferenceSettings.read(test_cfg, patch=1)
    Vocabulary.read(text_encoder.get('vocabulary'))
    read_templates(text_encoder.get('templates', '{}'))


def default_preprocessor(tower) -> dict:
    mean, std = ([value * 255 for value in values] for values in (tower.mean, tower.std))
    return dict(type='CLIPSurgeryDataPreProcessor', mean=mean, std=std, bgr_to_rgb=True)


def check_state(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint that is not of this model. Raises ValueError with the names."""
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & found.keys() if wanted[name].shape != found[name].shape)
    if missing or unexpected or other:
        raise ValueError(
            f"the checkpoint is not this model's: missing {listed(missing)}; unexpected {listed(unexpected)}; of "
            f"another shape {listed(other)}. Take the config it was made with; a CLIP's weights are given as "
            'pretrained in the config'
        )


def flipped_dims(meta: Mapping) -> tuple[int, ...]:
    """Which dimensions of "c H W" a test-time flip reversed."""
    if not meta.get('flip'):
        return ()
    direction = meta.get('flip_direction')
    dims = {'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}
    if direction not in dims:
        raise ValueError(f'flip_direction must be one of {", ".join(dims)}, got {direction!r}')
    return dims[direction]
