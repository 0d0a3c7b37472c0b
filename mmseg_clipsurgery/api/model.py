"""A few lines of Python: load a CLIP once, then ask it about photos.

    import mmseg_clipsurgery
    model = mmseg_clipsurgery.load('ViT-B-16', 'openai').to('cuda')
    model.segment('street.jpg', ['road', 'car', 'sky']).save_labels('street.png')
    model.heatmaps('street.jpg', ['road', 'car', 'sky']).draw().show()
    model.points('street.jpg', 'car').save_record('car.json')

A photo is a path, a PIL image, an array "H W 3" or a tensor "3 H W" (see `images`); a list of these gives a list
of results. Words are what `Vocabulary.read` takes: a list of words, where an item may be a list of synonyms; a
mapping from class name to words; a shipped name; a text file. For a list of photos, see `word_lists`: words that
are all strings serve every photo, a list of such lists gives each photo its own.

`segment` uses the predictor that MMSeg's segmentor uses, so it gives the labels of `CLIPSurgerySegmentor`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import explain
from ..environment.numbers import check_count
from ..explainers.explainer import Explainer
from ..explainers.table import explainer_asked
from ..inference.calibration_files import DEFAULTS, Calibration
from ..inference.settings import check_feedback_words, check_thresholds
from ..recognition import Kept, classes_kept, recognition_scores
from ..similarity import Similarity, SurgeryForm, class_maximum, grid_logits, normalize
from ..structures import ImageTokens, TextQueries
from ..surgery import Surgery
from ..vocabulary import Vocabulary, VocabularySpec
from .devices import check_device
from .encoders import Encoders
from .images import Images, read_images
from .input_sizes import whole_patches, with_short_side
from .one_or_many import one_or_many
from .patch_attention import patch_attention
from .pixels import Pixels, to_uint8
from .reading import DEFAULT, Reading
from .results import HeatMaps, PatchAttention, Points, Recognition, Segmentation, TextExplanation
from .results.base import maps_at
from .text_maps import against_empty, text_maps
from .word_lists import Words, check_others, chunks, texts_for, texts_of, told_from, words_for
from .word_relevance import RelevanceMethod, embed_texts, word_relevance


class SurgeryModel:
    """What `load` returns. Every method takes one photo or a list of photos, and returns one result or a list.

    Args:
        encoders: CLIP's towers, the surgery, and how large photos are given to them.
        reading: how images are read.
    """

    def __init__(self, encoders: Encoders, reading: Reading = DEFAULT):
        self.encoders, self.reading = encoders, reading

    def __repr__(self) -> str:
        return f'<{self.encoders.text.source.label} under {self.surgery_name}, on {self.encoders.device}>'

    def to(self, *args: Any, **kwargs: Any) -> 'SurgeryModel':
        """Move the towers, as `torch.nn.Module.to`; the model itself is returned.

        Raises:
            ValueError: the device is unknown or not here.
        """
        for device in (*args[:1], *([kwargs['device']] if 'device' in kwargs else [])):
            if isinstance(device, str | torch.device):
                check_device(device)
        self.encoders.tower.to(*args, **kwargs)
        self.encoders.text.to(*args, **kwargs)
        if self.encoders.guide is not None:
            self.encoders.guide.to(*args, **kwargs)
        return self

    @property
    def surgery_name(self) -> str:
        """The surgery's name in `SURGERIES`, or its fields."""
        return self.encoders.surgery.name

    def with_surgery(self, surgery: str | Mapping | Surgery) -> 'SurgeryModel':
        """The same towers under another surgery. Raises ValueError as `load`."""
        return SurgeryModel(self.encoders.with_surgery(surgery), self.reading)

    @one_or_many
    def segment(
        self,
        images: Images,
        words: Words,
        *,
        logit_scale: float = 40.0,
        prob_thd: float | None = None,
        area_thd: float | None = None,
        threshold: float = 0.0,
        pamr: Mapping | None = None,
        feedback: Mapping | None = None,
        scores: bool = False,
        min_presence: float | None = None,
        calibration: str | Path | None = None,
    ) -> Segmentation | list[Segmentation]:
        """A label for every pixel of the photo, at its own size.

        Args:
            images, words: see the module's head; the words in label order. One word alone gives labels 0 and 1.
            logit_scale, prob_thd, area_thd, pamr, feedback: as in the segmentor's `test_cfg`; the two thresholds need a
                first class 'background', feedback (of `resclip`) two words or more.
            threshold: what a pixel's similarity must exceed, for one word alone.
            scores: also give class scores.
            min_presence: drop words that the class token finds absent: those whose probability against the empty
                string (`recognition.word_presence`) is below this; 0.5 is where the photo is as near to one as to the
                other. A first class 'background' stays; where no word is present all is background, or without one the
                best word stays, and the result says `none_present`. None: keep all.
            calibration: a file that `mmseg-clipsurgery calibrate` wrote; its settings stand in place of logit_scale,
                prob_thd, area_thd and threshold.

        Raises:
            ValueError, FileNotFoundError: no words, no photo, settings out of range or without effect, or a calibration
                of other words or beside settings of its own.
        """
        given = dict(logit_scale=logit_scale, prob_thd=prob_thd, area_thd=area_thd, threshold=threshold)
        found = None if calibration is None else Calibration.read(calibration)
        own = [name for name, value in given.items() if value != DEFAULTS[name]]
        if found is not None and own:
            raise ValueError(f'a calibration brings its own {own[0]}; leave {own[0]} out')
        short_side = self.encoders.sizes.segment

        def results(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[Segmentation]:
            if 'threshold' in own and vocabulary.num_classes > 1:
                raise ValueError(
                    f'threshold is for one word alone, got {vocabulary.num_classes} words; for several, prob_thd makes '
                    'what is less probable the background'
                )
            settings = given if found is None else given | found.settings_for(vocabulary, self.surgery_name)
            predictor = self.encoders.predictor(**settings, pamr=pamr, feedback=feedback, scores=scores)
            check_thresholds(predictor.settings, vocabulary)
            check_feedback_words(predictor.settings, vocabulary)
            kept = self._kept_classes(pixels, vocabulary, queries, min_presence)
            alone = vocabulary.num_classes == 1  # labelled 'background' where it is absent
            keep = [
                None if one is None else (one.classes ^ (one.none_present and alone))[queries.class_of]
                for one in kept
            ]
            resized = [
                self.encoders.normalized(with_short_side(photo, short_side, self.encoders.tower.patch))
                for photo in pixels
            ]
            sizes = [(photo.shape[0], photo.shape[1]) for photo in pixels]
            return [
                Segmentation(
                    to_uint8(photo),
                    prediction.labels[0].cpu().numpy(),
                    vocabulary.label_names,
                    None if prediction.scores is None else prediction.scores.cpu().numpy(),
                    one is not None and one.none_present,
                )
                for photo, prediction, one in zip(
                    pixels, predictor.predict(resized, queries, sizes, keep=keep), kept, strict=True
                )
            ]

        return self._by_words(images, words, results)

    @one_or_many
    def heatmaps(
        self,
        images: Images,
        words: Words,
        *,
        among: VocabularySpec = None,
        form: Similarity = 'released',
        explainer: str | Explainer | None = None,
        min_presence: float | None = None,
    ) -> HeatMaps | list[HeatMaps]:
        """Where each word is, by feature surgery over the words; one word alone against the empty string.

        Args:
            images, words: as `segment`. Each word is told from all others, so more words make better maps.
            among: more words that they are told from, which get no maps of their own.
            form: 'released' or 'paper', of feature surgery, or 'cosine' for none.
            explainer: a name of `EXPLAINERS`, such as 'legrad', in place of the model's surgery and the form; its maps
                are raw, and those of 'attention' and 'rollout' are the same for every word.
            min_presence: leave out the maps of absent words, as `segment` does.

        Raises:
            ValueError: an unknown form or explainer, one that the tower does not fit, one beside a form, or `among` for
                maps that depend on no other word.
        """
        row = self._explainer(explainer, form)
        others = Vocabulary.read(among)
        if others is not None and not (form != 'cosine' if row is None else row.compares):
            raise ValueError(
                f'among (--against) has no effect: the maps of {explainer or "the cosine"} are made for each word by '
                'itself; leave it out, or take feature surgery'
            )

        def results(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[HeatMaps]:
            kept = self._kept_classes(pixels, vocabulary, queries, min_presence)
            told = told_from(vocabulary, others)
            competing, found = queries if others is None else self.encoders.text(told), []
            if row is None:
                all_maps = [grid_logits(tokens, competing, form)[0] for tokens in self._tokens(pixels)]
            else:
                all_maps = self.encoders.explained(pixels, self.encoders.sizes.explain, row, competing)
            for photo, logits, one in zip(pixels, all_maps, kept, strict=True):
                maps = class_maximum(logits.permute(1, 2, 0), competing.class_of, told.num_classes)
                maps = maps.permute(2, 0, 1)
                shown = range(vocabulary.num_classes) if one is None else one.classes.nonzero()[:, 0].tolist()
                names = tuple(vocabulary.classes[k] for k in shown)
                absent = one is not None and one.none_present
                found.append(HeatMaps(to_uint8(photo), names, maps.cpu().numpy()[list(shown)], absent))
            return found

        return self._by_words(images, words, results)

    @one_or_many
    def recognise(
        self,
        images: Images,
        words: Words,
        *,
        form: SurgeryForm = 'released',
        logit_scale: float | None = None,
    ) -> Recognition | list[Recognition]:
        """Which words the photo holds, by its class token: each against the empty string, and all against each other.

        Args:
            images, words: as `segment`.
            form: of feature surgery, see `recognition`.
            logit_scale: before the softmax, and of each word's presence; None: the model's own.
        """
        scale = self.encoders.logit_scale if logit_scale is None else logit_scale

        def results(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[Recognition]:
            all_tokens = self.encoders.tokens(pixels, self.encoders.sizes.recognise)
            found = []
            for photo, tokens in zip(pixels, all_tokens, strict=True):
                scores = recognition_scores(tokens.cls_token, queries, form, scale)[0].cpu().numpy()
                presence = self.encoders.presence(tokens, queries, scale).cpu().numpy()
                found.append(Recognition(to_uint8(photo), vocabulary.classes, presence, scores))
            return found

        return self._by_words(images, words, results)

    @one_or_many
    def points(
        self,
        images: Images,
        word: str | Sequence[str],
        *,
        among: VocabularySpec = None,
        threshold: float = 0.8,
        downsample: int = 2,
    ) -> Points | list[Points]:
        """Positive and negative points for a promptable segmentor.

        Args:
            images: see the module's head.
            word: a text, or several joined by + that make up one target ('person+bench'); for a list of photos one for
                all, or a list with one for each.
            among: other words to tell it from, by feature surgery; None: the single-text form.
            threshold, downsample: as `explain.points`.
        """
        pixels, batch = read_images(images, self.reading)
        others, results = Vocabulary.read(among), []
        texts = texts_for(word, len(pixels), batch)
        check_others(texts, others)
        embedded = self._embedded([part for text in texts for part in texts_of(text)], others)
        for photo, tokens, text in zip(pixels, self._tokens(pixels), texts, strict=True):
            maps = text_maps(tokens, texts_of(text), others, embedded).cpu()
            combined = len(maps) > 1
            find, shown = (explain.combined_points, maps) if combined else (explain.points, maps[0])
            xy, labels = find(shown, photo.shape[:2], threshold, downsample)
            mean = torch.from_numpy(maps_at(maps.numpy(), maps.shape[1:])).mean(dim=0) if combined else shown
            results.append(Points(to_uint8(photo), text, xy.numpy(), labels.numpy(), mean.numpy()))
        return results if batch else results[0]

    @one_or_many
    def explain_text(
        self, images: Images, sentence: str | Sequence[str], *, method: RelevanceMethod = 'leave_out'
    ) -> TextExplanation | list[TextExplanation]:
        """Which words of a sentence, and which regions of the photo, carry their match.

        Args:
            images: see the module's head.
            sentence: free text, encoded as it is; for a list of photos one for all, or a list with one for each.
            method: 'leave_out' or 'tokens', see `word_relevance`.
        """
        pixels, batch = read_images(images, self.reading)
        results = []
        sentences = texts_for(sentence, len(pixels), batch)
        for photo, tokens, text in zip(pixels, self._tokens(pixels), sentences, strict=True):
            assert tokens.cls_token is not None
            cls = normalize(tokens.cls_token.float())[0]
            words, relevance = word_relevance(self.encoders.text, cls, text, method)
            whole, empty = embed_texts(self.encoders.text, [' '.join(words), '']).split(1)
            heat = against_empty(tokens, whole, empty)[0]
            arrays = relevance.cpu().numpy(), float(cls @ whole[0]), heat.cpu().numpy()
            results.append(TextExplanation(to_uint8(photo), text, tuple(words), *arrays, method))
        return results if batch else results[0]

    @one_or_many
    def attention(
        self, images: Images, xy: tuple[int, int], *, block: int = -1
    ) -> PatchAttention | list[PatchAttention]:
        """Which patches the patch at a pixel looks at, under the surgery's affinity.

        Args:
            images: see the module's head.
            xy: a pixel of the photo, x before y.
            block: see `patch_attention`.

        Raises:
            ValueError: a pixel outside the photo, or a block that the surgery leaves alone.
        """
        if not isinstance(xy, list | tuple) or len(xy) != 2:
            raise ValueError(f'xy must be a pixel (x, y), got {xy!r}')
        for name, value in zip(('x', 'y'), xy, strict=True):
            check_count(name, value, least=0)
        pixels, batch = read_images(images, self.reading)
        tower, (x, y), results = self.encoders.tower, xy, []
        for photo in pixels:
            height, width = photo.shape[:2]
            if not (0 <= x < width and 0 <= y < height):
                raise ValueError(
                    f'pixel (x, y) = ({x}, {y}) lies outside the photo of {width} x {height} pixels'
                )
            fitted = whole_patches(photo, self.encoders.sizes.explain, tower.patch)
            rows, columns = (side // tower.patch for side in fitted.shape[:2])
            patch = (int(y * rows // height), int(x * columns // width))
            image = self.encoders.normalized(fitted)[None]
            weights = patch_attention(tower, image, patch, block, self.encoders.surgery)
            results.append(
                PatchAttention(to_uint8(photo), (int(x), int(y)), weights.cpu().numpy(), self.surgery_name)
            )
        return results if batch else results[0]

    def _explainer(self, explainer: str | Explainer | None, form: Similarity) -> Explainer | None:
        """The explainer that was asked for; None: the model's own surgery."""
        row = explainer_asked(explainer, form)
        if row is not None:
            self.encoders.check(row)
        return row

    def _tokens(self, pixels: list[Pixels]) -> list[ImageTokens]:
        return self.encoders.tokens(pixels, self.encoders.sizes.explain)

    def _embedded(self, texts: Sequence[str], among: Vocabulary | None) -> dict[str, Tensor]:
        """Each text once -> "c"; those of `among`, or the empty string, with them.

        The words of `among` are embedded as a list of their own, which is kept: the next call has them already.
        """
        known = [''] if among is None else list(dict.fromkeys(among.queries))
        new = [text for text in dict.fromkeys(texts) if text not in known]
        encode = self.encoders.text.embed_words
        if among is None:
            return dict(zip([*new, *known], encode([*new, *known]), strict=True))
        embedded = dict(zip(known, encode(known), strict=True))
        return embedded | (dict(zip(new, encode(new, apart_from=known), strict=True)) if new else {})

    def _kept_classes(
        self,
        pixels: Sequence[Pixels],
        vocabulary: Vocabulary,
        queries: TextQueries,
        min_presence: float | None,
    ) -> list[Kept | None]:
        """Which classes of each photo are kept, None for all: see `segment` for the rule."""
        if min_presence is None:
            return [None] * len(pixels)
        kept: list[Kept | None] = []
        for tokens in self.encoders.tokens(pixels, self.encoders.sizes.recognise):
            presence = self.encoders.presence(tokens, queries)
            kept.append(classes_kept(presence, min_presence, vocabulary.has_background))
        return kept

    def _by_words(self, images: Images, words: Words, results_of: Callable[..., list]) -> Any:
        """Results of photos; those that share their words are found together, `batch` at a time."""
        pixels, batch = read_images(images, self.reading)
        results: list = []
        for part, vocabulary in chunks(pixels, words_for(words, len(pixels), batch), self.encoders.batch):
            results += results_of(part, vocabulary, self.encoders.text(vocabulary))
        return results if batch else results[0]
