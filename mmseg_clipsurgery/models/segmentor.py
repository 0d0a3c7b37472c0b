"""The segmentor: MMSeg's interface around the predictor (see `inference.predictor` for the steps and their order).

    data samples -> unpadded images, original sizes, flips -> predictor -> data samples

It builds the parts from a config, refuses parts that contradict each other, and carries the state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..clip.checkpoints import no_weight
from ..clip.containers import listed
from ..compatibility import check_feedback, check_has_guide
from ..guides import build_guide
from ..inference.calibration_files import calibrated
from ..inference.explained_maps import check_explained
from ..inference.one_pass import predict_together
from ..inference.precision import TowerRunner, given
from ..inference.predictor import Prediction, Predictor
from ..inference.settings import DEPICTED, InferenceSettings, check_feedback_words, check_thresholds
from ..similarity import Similarity
from ..visualization.palette import voc_palette
from ..vocabulary import Vocabulary, read_templates
from .depicted import asking_for, depicted_classes
from .head import SurgeryHead
from .padding import unpadded
from .preprocessor import check_preprocessor, default_preprocessor, flipped_dims
from .variants import read_variants


@MODELS.register_module()
class CLIPSurgerySegmentor(BaseSegmentor):
    """Open-vocabulary segmentation without training, inside MMSeg.

    Args:
        backbone: config of `CLIPSurgeryViT` or `CLIPSurgeryResNet`.
        text_encoder: config of `OpenCLIPTextEncoder`; its vocabulary sets the classes.
        decode_head: config of `SurgeryHead`.
        data_preprocessor: config; None: `CLIPSurgeryDataPreProcessor` with the tower's mean and std, BGR input.
        test_cfg: see `InferenceSettings`.
        pretrained: where given, the weights of both towers (as the towers' own `pretrained`; 'random' for none); None:
            the towers' own settings stay.
        guide: config of a second tower for surgeries that read its features (ProxyCLIP), such as
            dict(type='DINOViT', arch='vitb8', pretrained=FILE); see `guides`.
        variants: name -> dict(surgery=..., test_cfg=..., similarity=...): many surgeries, predicted in one pass over
            the pixels in place of the backbone's; see `variants`. `evaluation.evaluate` gives each its own results.
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
        guide: Mapping | None = None,
        variants: Mapping[str, Mapping] | None = None,
        train_cfg: Mapping | None = None,
        init_cfg: Mapping | None = None,
    ):
        if train_cfg is not None:
            raise ValueError(f'train_cfg must be None, got {train_cfg!r}: nothing is trained')
        words = Vocabulary.read(text_encoder.get('vocabulary'))
        test_cfg, decode_head = calibrated(
            test_cfg, decode_head, words, backbone.get('surgery', 'clip_surgery')
        )
        check_early(text_encoder, test_cfg)
        weights = {} if pretrained is None else {'pretrained': pretrained}
        tower = MODELS.build({**backbone, **weights})
        super().__init__(MODELS.build(data_preprocessor or default_preprocessor(tower)), init_cfg)
        check_preprocessor(self.data_preprocessor, tower)
        self.backbone = tower
        self.text_encoder = MODELS.build({**text_encoder, **weights})
        self.decode_head = MODELS.build(decode_head or dict(type='SurgeryHead'))
        self.guide = None if guide is None else build_guide(guide)
        self.settings = InferenceSettings.read(test_cfg, tower.patch)
        self.test_cfg = test_cfg
        self.variants = read_variants(variants, test_cfg, tower)
        self.tower_runner = TowerRunner(self.settings.precision, self.settings.compiled)
        self._palette: Sequence | None = None
        for one in self.predictors.values() or [self.predictor]:
            surgery = one.surgery or tower.surgery
            check_has_guide(self.guide, surgery)
            check_feedback(one.settings.feedback, surgery)
            check_explained(one.settings, tower, self.guide)
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
        if head.one_word and head.has_prior:
            raise ValueError(
                'global_share and prompt_shift weigh words against each other, and the vocabulary is one word; give '
                'more words or leave them out'
            )
        for settings in (self.settings, *(one.settings for one in self.predictors.values())):
            check_thresholds(settings, vocabulary)
            check_feedback_words(settings, vocabulary)

    @property
    def vocabulary(self) -> Vocabulary | None:
        return self.text_encoder.vocabulary

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels, see `Vocabulary.label_names`; none before there are words."""
        return () if self.vocabulary is None else self.vocabulary.label_names

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
        return self.backbone(inputs, **given(guide=self.predictor.guide_features(inputs)))

    def encode_decode(self, inputs, batch_data_samples=None) -> list[Tensor]:
        """Averaged logits of each image at its own size, each "q H W"; inputs "b 3 H W" or a list of "3 H W"."""
        return self._forward(inputs, batch_data_samples)

    def loss(self, inputs, data_samples):
        """Refused."""
        raise NotImplementedError(
            'CLIPSurgerySegmentor has no loss: nothing is trained. Use tools/test.py, or mode="predict" or "tensor"'
        )

    @property
    def predictor(self) -> Predictor:
        """What predicts, made of the segmentor's parts as they are now; no part of the state."""
        return self.predictor_by(self.decode_head)

    def head_by(self, similarity: Similarity | None) -> SurgeryHead:
        """The head, by another similarity where one is given. Raises ValueError as `SurgeryHead.with_similarity`."""
        return self.decode_head if similarity is None else self.decode_head.with_similarity(similarity)

    def predictor_by(self, head: SurgeryHead) -> Predictor:
        """The segmentor's parts around a head."""
        return Predictor(
            self.backbone,
            head,
            self.settings,
            self.tower_runner,
            head.threshold,
            head.needs_class_token,
            guide=self.guide,
            whole_image=head.needs_whole_image,
        )

    @property
    def predictors(self) -> dict[str, Predictor]:
        """What predicts each variant, by name; empty where there is none."""
        return {
            name: replace(
                self.predictor_by(self.head_by(one.similarity)),
                surgery=one.surgery,
                settings=replace(self.settings, **one.settings),
            )
            for name, one in self.variants.items()
        }

    @torch.no_grad()
    def _forward(self, inputs, data_samples=None) -> list[Tensor]:
        """Mode 'tensor': as `encode_decode`."""
        metas = [sample.metainfo for sample in data_samples] if data_samples else [{}] * len(inputs)
        return self.predictor.dense_logits(unpadded(inputs, metas), self.text_encoder())

    @torch.no_grad()
    def predict(self, inputs, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Labels of each image at its original size.

        Args:
            inputs: normalised images, "b 3 H W" or a list of "3 H W" of any sizes.
            data_samples: one per image with `ori_shape`, and what was done to it (padding, flip); None: the
                images are the originals.

        Returns:
            The samples with `pred_sem_seg` "1 H W" (int64) and, with `test_cfg.scores`, `seg_logits` "k H W":
            class scores before thresholds; for one word "1 H W", its single-text similarity. With `test_cfg.maps`
            also `class_maps` "k H W"; where it is 'depicted' these alone, "n H W", and `map_classes`, n indices.
            With variants, a sample of each variant for each image, image by image; its meta information says which:
            `variant`.
        """
        data_samples = data_samples or [SegDataSample() for _ in inputs]
        metas = [sample.metainfo for sample in data_samples]
        images = unpadded(inputs, metas)
        sizes = [
            tuple(meta.get('ori_shape', image.shape[1:]))[:2]
            for meta, image in zip(metas, images, strict=True)
        ]
        flips = [flipped_dims(meta) for meta in metas]
        if self.settings.maps == DEPICTED:
            alone = zip(images, data_samples, sizes, flips, strict=True)
            return [made for parts in alone for made in self._depicted(*parts)]
        if self.variants:
            found = predict_together(self.predictors, images, self.text_encoder(), sizes, flips)
            return [
                fill(copied(sample, name), predictions[place])
                for place, sample in enumerate(data_samples)
                for name, predictions in found.items()
            ]
        predictions = self.predictor.predict(images, self.text_encoder(), sizes, flips)
        return [fill(*parts) for parts in zip(data_samples, predictions, strict=True)]

    def _depicted(
        self, image: Tensor, sample: SegDataSample, size: tuple[int, ...], flip: tuple[int, ...]
    ) -> list[SegDataSample]:
        """The sample of one image, or those of its variants, with maps of the classes that its truth holds."""
        classes = depicted_classes(sample, len(self.class_names))
        predictors = self.predictors or {'': self.predictor}
        maps: dict[str, Tensor | None] = {name: image.new_zeros(0, *size) for name in predictors}
        if classes:
            queries = asking_for(self.text_encoder(), classes)
            found = predict_together(predictors, [image], queries, [size], [flip])
            maps = {name: prediction.maps for name, (prediction,) in found.items()}
        made = []
        for name, own in maps.items():
            one = copied(sample, name) if self.variants else sample
            one.set_data({'class_maps': PixelData(data=own), 'map_classes': classes})
            made.append(one)
        return made


def fill(sample: SegDataSample, prediction: Prediction) -> SegDataSample:
    """The sample of an image with what is predicted of it, under MMSeg's names."""
    named = zip(('pred_sem_seg', 'seg_logits', 'class_maps'), prediction, strict=True)
    sample.set_data({name: PixelData(data=data) for name, data in named if data is not None})
    return sample


def copied(sample: SegDataSample, variant: str) -> SegDataSample:
    """A sample of its own for a variant; the truth is shared."""
    made = sample.new()
    made.set_metainfo(dict(variant=variant))
    return made


def check_early(text_encoder: Mapping, test_cfg: Mapping | None) -> None:
    """Find mistakes in words and settings before weights are fetched.

    Raises:
        ValueError, FileNotFoundError: see `InferenceSettings`, `Vocabulary.read` and `read_templates`.
    """
    InferenceSettings.read(test_cfg, patch=1)
    Vocabulary.read(text_encoder.get('vocabulary'))
    read_templates(text_encoder.get('templates', '{}'))


def check_state(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], label: str = 'the checkpoint'
) -> None:
    """Refuse a checkpoint that is not of this model, or whose tensors are no weights.

    Args:
        wanted: the model's own state.
        found: the checkpoint's.
        label: what messages call it.

    Raises:
        ValueError: with the names.
    """
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & found.keys() if wanted[name].shape != found[name].shape)
    if missing or unexpected or other:
        raise ValueError(
            f"{label} is not this model's: missing {listed(missing)}; unexpected {listed(unexpected)}; of "
            f"another shape {listed(other)}. Take the config it was made with; a CLIP's weights are given as "
            'pretrained in the config'
        )
    for name, value in found.items():
        if wanted[name].is_floating_point() and (trouble := no_weight(value)):
            raise ValueError(f'{label}: tensor {name} {trouble}; export it again')
