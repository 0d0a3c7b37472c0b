"""A few lines of Python: load a CLIP once, then ask it about photos.

    import mmseg_clipsurgery
    model = mmseg_clipsurgery.load('ViT-B-16', 'openai').to('cuda')
    model.segment('street.jpg', ['road', 'car', 'sky']).save('street_labels.png')
    model.heatmaps('street.jpg', ['road', 'car', 'sky']).draw().show()
    model.points('street.jpg', 'car').save('car.json')

A photo is a path, a PIL image, an array "H W 3" or a tensor "3 H W" (see `images`); a list of these gives a list
of answers. Words are what `Vocabulary.read` takes: a list of words, where an item may be a list of synonyms; a
mapping from class name to words; a shipped name; a text file. For a list of photos, see `word_lists`: words that
are all strings serve every photo, a list of such lists gives each photo its own.

Everything is computed by the segmentor's own parts, so that `segment` gives the labels of `CLIPSurgerySegmentor`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .. import explain
from ..models.head import HeadSimilarity, SurgeryHead
from ..recognition import recognition_scores
from ..similarity import SurgeryForm, class_maximum, normalize, single_text_surgery
from ..structures import TextQueries
from ..surgery import SURGERIES, Surgery
from ..vocabulary import Vocabulary, VocabularySpec
from .images import Images, Pixels, read_images, to_uint8
from .input_sizes import whole_patches
from .patch_attention import patch_attention
from .reader import Reader
from .results import HeatMaps, PatchAttention, Points, Recognition, Segmentation, TextExplanation
from .results.base import maps_at
from .word_lists import Words, chunks, texts_for, texts_of, words_for
from .word_relevance import RelevanceMethod, embed_texts, word_relevance


class SurgeryModel:
    """What `load` returns. Every method takes one photo or a list of photos, and answers likewise.

    Attributes:
        reader: the towers behind it and how large photos are read.
    """

    def __init__(self, reader: Reader):
        self.reader = reader

    def to(self, *args: Any, **kwargs: Any) -> 'SurgeryModel':
        """Move the towers, as `torch.nn.Module.to`; the model itself is returned."""
        self.reader.segmentor.to(*args, **kwargs)
        return self

    @property
    def surgery_name(self) -> str:
        """The surgery's name in `SURGERIES`, or its fields."""
        surgery = self.reader.backbone.surgery
        return next((name for name, known in SURGERIES.items() if known == surgery), str(surgery))

    def with_surgery(self, surgery: str | Mapping | Surgery) -> 'SurgeryModel':
        """The same CLIP, its weights shared, under another surgery. Raises ValueError as `load`."""
        return SurgeryModel(self.reader.with_surgery(surgery))

    @torch.inference_mode()
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
        scores: bool = False,
        min_presence: float | None = None,
    ) -> Segmentation | list[Segmentation]:
        """A label for every pixel of the photo, at its own size.

        Args:
            images, words: see the module's head; the words in label order. One word alone gives labels 0 and 1.
            logit_scale, prob_thd, area_thd, pamr: as in the segmentor's `test_cfg`; the two thresholds need a first
                class 'background'.
            threshold: what a pixel's similarity must exceed for one word alone.
            scores: also give class scores.
            min_presence: drop words that the class token finds absent: those whose probability against the empty
                string (`recognition.word_presence`) is below this; 0.5 is where the photo is as near to one as to the
                other. The best word stays, and so does 'background'. None: keep all.

        Raises:
            ValueError, FileNotFoundError: no words, no photo, or settings out of range.
        """
        test_cfg = dict(
            logit_scale=logit_scale, prob_thd=prob_thd, area_thd=area_thd, pamr=pamr, scores=scores
        )

        def answer(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[Segmentation]:
            segmentor = self.reader.segmentor_for(vocabulary, queries, threshold, test_cfg)
            kept = self.reader.present(pixels, vocabulary, queries, min_presence)
            names = vocabulary.classes if queries.empty is None else ('background', *vocabulary.classes)
            answers = []
            for one, sample in zip(pixels, self.reader.predict(segmentor, pixels, kept), strict=True):
                found = sample.seg_logits.data.cpu().numpy() if scores else None
                answers.append(
                    Segmentation(to_uint8(one), sample.pred_sem_seg.data[0].cpu().numpy(), names, found)
                )
            return answers

        return self._each(images, words, answer)

    @torch.inference_mode()
    def heatmaps(
        self,
        images: Images,
        words: Words,
        *,
        form: HeadSimilarity = 'released',
        min_presence: float | None = None,
    ) -> HeatMaps | list[HeatMaps]:
        """Where each word is, by feature surgery over the words; one word alone against the empty string.

        Args:
            images, words: as `segment`. Each word is told from all others, so more words make better maps.
            form: 'released' or 'paper', of feature surgery, or 'cosine' for none.
            min_presence: leave out the maps of absent words, as `segment` does.
        """
        head = SurgeryHead(similarity=form)

        def answer(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[HeatMaps]:
            kept = self.reader.present(pixels, vocabulary, queries, min_presence)
            answers = []
            for one, tokens, keep in zip(pixels, self._tokens(pixels), kept, strict=True):
                maps = head(tokens, queries)[0].permute(1, 2, 0)
                maps = (
                    class_maximum(maps, queries.class_of, vocabulary.num_classes)
                    .permute(2, 0, 1)
                    .cpu()
                    .numpy()
                )
                wanted = range(len(maps)) if keep is None else keep.nonzero()[:, 0].tolist()
                names = tuple(vocabulary.classes[k] for k in wanted)
                answers.append(HeatMaps(to_uint8(one), names, maps[list(wanted)]))
            return answers

        return self._each(images, words, answer)

    @torch.inference_mode()
    def recognise(
        self,
        images: Images,
        words: Words,
        *,
        form: SurgeryForm = 'released',
        logit_scale: float | None = None,
    ) -> Recognition | list[Recognition]:
        """Which words the photo holds, by its class token.

        Args:
            images, words: as `segment`.
            form: of feature surgery, see `evaluation.recognition`.
            logit_scale: before the softmax; None: the model's own.
        """
        scale = self.reader.logit_scale if logit_scale is None else logit_scale

        def answer(pixels: list[Pixels], vocabulary: Vocabulary, queries: TextQueries) -> list[Recognition]:
            answers = []
            for one, tokens in zip(
                pixels, self.reader.tokens(pixels, self.reader.views.recognise), strict=True
            ):
                found = recognition_scores(tokens.cls_token, queries, form, scale)[0]
                answers.append(Recognition(to_uint8(one), vocabulary.classes, found.cpu().numpy()))
            return answers

        return self._each(images, words, answer)

    @torch.inference_mode()
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
        pixels, batch = read_images(images)
        others, answers = Vocabulary.read(among), []
        texts = texts_for(word, len(pixels), batch)
        for one, tokens, text in zip(pixels, self._tokens(pixels), texts, strict=True):
            maps = self.reader.text_maps(tokens, texts_of(text), others).cpu()
            combined = len(maps) > 1
            find, shown = (explain.combined_points, maps) if combined else (explain.points, maps[0])
            xy, labels = find(shown, one.shape[:2], threshold, downsample)
            mean = torch.from_numpy(maps_at(maps.numpy(), maps.shape[1:])).mean(dim=0) if combined else shown
            answers.append(Points(to_uint8(one), text, xy.numpy(), labels.numpy(), mean.numpy()))
        return answers if batch else answers[0]

    @torch.inference_mode()
    def explain_text(
        self, images: Images, sentence: str | Sequence[str], *, method: RelevanceMethod = 'leave_out'
    ) -> TextExplanation | list[TextExplanation]:
        """Which words of a sentence, and which regions of the photo, carry their match.

        Args:
            images: see the module's head.
            sentence: free text, encoded as it is; for a list of photos one for all, or a list with one for each.
            method: 'leave_out' or 'tokens', see `relevance`.
        """
        pixels, batch = read_images(images)
        answers = []
        sentences = texts_for(sentence, len(pixels), batch)
        for one, tokens, text in zip(pixels, self._tokens(pixels), sentences, strict=True):
            cls = normalize(tokens.cls_token.float())
            words, relevance = word_relevance(self.reader.text_encoder, cls[0], text, method)
            whole, empty = embed_texts(self.reader.text_encoder, [' '.join(words), '']).split(1)
            patches = normalize(tokens.patch_tokens.float().flatten(2).transpose(1, 2))
            heat = single_text_surgery(patches, whole, empty)[0, :, 0].unflatten(
                0, tokens.patch_tokens.shape[2:]
            )
            match = float(cls[0] @ whole[0])
            arrays = relevance.cpu().numpy(), match, heat.cpu().numpy()
            answers.append(TextExplanation(to_uint8(one), text, tuple(words), *arrays, method))
        return answers if batch else answers[0]

    @torch.inference_mode()
    def attention(
        self, images: Images, xy: tuple[int, int], *, block: int = -1
    ) -> PatchAttention | list[PatchAttention]:
        """Which patches the patch at a pixel looks at, under the surgery's affinity.

        Args:
            images: see the module's head.
            xy: a pixel of the photo, x before y.
            block: see `attention_maps.patch_attention`.

        Raises:
            ValueError: a pixel outside the photo, or a block that is not read.
        """
        pixels, batch = read_images(images)
        tower, answers = self.reader.backbone, []
        for one in pixels:
            (height, width), (x, y) = one.shape[:2], xy
            if not (0 <= x < width and 0 <= y < height):
                raise ValueError(
                    f'pixel (x, y) = ({x}, {y}) lies outside the photo of {width} x {height} pixels'
                )
            fitted = whole_patches(one, self.reader.views.explain, tower.patch)
            rows, columns = (side // tower.patch for side in fitted.shape[:2])
            patch = (int(y * rows // height), int(x * columns // width))
            weights = patch_attention(tower, self.reader.normalised(fitted)[None], patch, block)
            answers.append(
                PatchAttention(to_uint8(one), (int(x), int(y)), weights.cpu().numpy(), self.surgery_name)
            )
        return answers if batch else answers[0]

    def _tokens(self, pixels: list[Pixels]):
        return self.reader.tokens(pixels, self.reader.views.explain)

    def _each(self, images: Images, words: Words, answer: Callable[..., list]) -> Any:
        """Answers of photos that share their words are found together, `batch` at a time."""
        pixels, batch = read_images(images)
        answers: list = []
        for part, vocabulary in chunks(pixels, words_for(words, len(pixels), batch), self.reader.batch):
            answers += answer(part, vocabulary, self.reader.text_encoder(vocabulary))
        return answers if batch else answers[0]
