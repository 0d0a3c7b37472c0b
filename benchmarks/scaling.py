"""Sections on cost against size, on text, and what the machine gives at best.

tokens      whole square images of growing size: plain tower, our tower, labels of 59 classes
classes     the step from grid logits to labels of a 512 x 512 image, for a photo and for white noise
batches     1 to 16 photos of 336 x 448 in one call, slide protocol; per image
templates   19 words times a growing number of templates
text        words times 85 templates: class by class at full context length (the published loop) against batches cut to
            their longest text; a round encodes one class by the loop, which takes seconds, and 19 by ours; then all
            words at once, and in a fresh process from the disk cache (tokenizing, the key over all weights, reading)
"""

import tempfile
from collections.abc import Sequence

from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import torch
import torch.nn.functional as F
from torch import Tensor

from .measure import Section, cost_of, in_fresh_processes, rounded, summary
from .published import text_of_class
from .workload import PLAIN, PROTOCOL, VOC_PHOTO, Workload

SIDES = (224, 320, 448, 512, 640, 768, 896)
VOCABULARIES = {20: 'voc20', 59: 'context59', 171: 'coco_stuff164k', 459: 'context459', 847: 'ade20k_847'}
BATCHES = (1, 2, 4, 8, 16)
WORDS, TEMPLATES = Vocabulary.read('coco_stuff164k').queries, read_templates('clip_surgery85')
COUNTS = (1, 7, 20, 40, 85)  # of templates
GROUP = 19  # of 171 words, nine groups
BY_CLASS, OURS = 'class by class, full length', 'ours'


@torch.inference_mode()
def tokens(load: Workload) -> Section:
    """Seconds of whole images; `wall`, counts and ratio are those of the way to labels."""
    sides, words, predictor = SIDES[: load.size(7, 2)], load.encoders.text('context59'), load.predictor()
    variants, rows = {}, {}
    for side in sides:
        image, plain = load.image(0, (side, side))[None], load.plain((side, side))
        variants |= {
            f'{side} plain': lambda r, plain=plain, image=image: plain(image),
            f'{side} tower': lambda r, image=image: load.tower(image, class_token=False),
            f'{side} labels': lambda r, image=image: predictor.predict(image, words),
        }
    measured = load.measure(variants, load.few)
    for side in sides:
        plain_row, labels = measured.row(f'{side} plain'), measured.row(f'{side} labels', to=f'{side} plain')
        seconds = {PLAIN: plain_row['seconds'], 'our tower': measured.row(f'{side} tower')['seconds']}
        seconds |= {'to labels': labels.pop('seconds'), 'GFLOP of the plain forward': plain_row['GFLOP']}
        rows[str(side)] = {'tokens': 1 + (side // load.tower.patch) ** 2, **seconds, **labels}
    return rows, {}


@torch.inference_mode()
def classes(load: Workload) -> Section:
    """Grid logits to labels, no rules: what a larger vocabulary costs. Counts are those of the photo."""
    image, variants, rows = load.image(0, (load.size(512, 128),) * 2)[None], {}, {}
    for count, vocabulary in VOCABULARIES.items():
        words = load.encoders.text(vocabulary)
        for name, predictor in {'photo': load.predictor(), 'noise': load.predictor(noise=True)}.items():
            (logits,), rule = predictor.logits(image, words), predictor.post_process(words)
            variants[f'{count} {name}'] = lambda r, rule=rule, logits=logits: rule.label_logits(logits)
    measured = load.measure(variants)
    for count in VOCABULARIES:
        photo, noise = (measured.row(f'{count} {name}') for name in ('photo', 'noise'))
        rows[str(count)] = {'photo': photo.pop('seconds'), 'white noise': noise['seconds'], **photo}
    return rows, {}


@torch.inference_mode()
def batches(load: Workload) -> Section:
    """Photos in one call, to labels at the original size."""
    sizes, words, predictor = (
        BATCHES[: load.size(5, 2)],
        load.encoders.text('voc21'),
        load.predictor(**PROTOCOL),
    )
    images = [load.image(i, (336, 448)) for i in range(sizes[-1])]
    variants = {str(n): lambda r, n=n: predictor.predict(images[:n], words, [VOC_PHOTO] * n) for n in sizes}
    measured = load.measure(variants, load.few)
    return {str(n): measured.row(str(n), per=n) for n in sizes}, {}


@torch.inference_mode()
def best(load: Workload) -> Section:
    """A large matrix product, and a copy too large for any cache."""
    matrix, source = torch.ones(2048, 2048, device=load.device), torch.ones(64 << 20, device=load.device)
    target, product, copy = torch.empty_like(source), 'fp32 matrix product, 2048 x 2048', 'copy of 256 MiB'
    measured = load.measure({product: lambda r: matrix @ matrix, copy: lambda r: target.copy_(source)})
    return {name: measured.row(name) for name in (product, copy)}, {}


@torch.inference_mode()
def templates(load: Workload) -> Section:
    """A group of words times templates, neither kept nor cached."""
    encoder, words, counts = load.encoders.text, WORDS[: load.size(GROUP, 4)], COUNTS[: load.size(5, 2)]
    ids = {n: token_ids(encoder, words, TEMPLATES[:n]) for n in counts}
    measured = load.measure({str(n): lambda r, n=n: averaged(encoder, ids[n]) for n in counts}, load.few)
    return {str(n): measured.row(str(n)) for n in counts}, {}


@torch.inference_mode()
def text(load: Workload) -> Section:
    """Seconds a class by both ways, then the whole list by ours, then the second start."""
    words, templates = WORDS[: load.size(171, 4)], TEMPLATES[: load.size(85, 5)]
    group = min(GROUP, len(words))
    with tempfile.TemporaryDirectory() as cache:
        encoder = load.built(templates, cache).text
        ids = token_ids(encoder, words, templates)
        groups = [ids[(r * group) % (len(words) - group + 1) :][:group] for r in range(load.rounds)]
        loop = lambda r: text_of_class(encoder.encode_whole, groups[r][0])  # noqa: E731
        measured = load.measure({BY_CLASS: loop, OURS: lambda r: averaged(encoder, groups[r])})
        difference = averaged(encoder, groups[0])[:1] - loop(0)
        seconds, wall = cost_of(lambda: encoder.embed_words(words), load.device)
        task = load, words, templates, cache
        starts = [in_fresh_processes(second_start, task)[0] for _ in range(load.size(3, 1))]
    return {BY_CLASS: measured.row(BY_CLASS), OURS: measured.row(OURS, per=group)}, {
        'class by class to ours': measured.ratio(BY_CLASS, OURS, per=group),
        'largest difference to class by class': rounded(float(difference.abs().max())),
        'words x templates': f'{len(words)} x {len(templates)}',
        'tokens of a text, mean': rounded(
            float((encoder.end_positions(ids.flatten(0, 1)) + 1).float().mean())
        ),
        'all words at once, ours, seconds': rounded(seconds),
        'all words at once, ours, wall': rounded(wall),
        'second start, wall': summary([wall for wall, _ in starts]),
        'second start, largest difference': max(difference for _, difference in starts),
    }


@torch.inference_mode()
def second_start(
    load: Workload, words: Sequence[str], templates: Sequence[str], cache: str
) -> tuple[float, float]:
    """Wall seconds from a built encoder to its cached words; their largest difference to words encoded anew."""
    encoder = load.built(templates, cache).text
    wall = cost_of(lambda: encoder.embed_words(words), load.device)[1]
    anew = averaged(encoder, token_ids(encoder, words[:2], templates))
    return wall, float((encoder.embed_words(words)[:2] - anew).abs().max())


def token_ids(encoder: OpenCLIPTextEncoder, words: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Every word in every template: "k t l"."""
    ids = encoder.tokenizer(encoder.texts(words, templates)).to(encoder.text_device)
    return ids.unflatten(0, (len(words), -1))


def averaged(encoder: OpenCLIPTextEncoder, ids: Tensor) -> Tensor:
    """Token ids "k t l" -> embeddings "k c", by ours, neither kept nor cached."""
    encoded = F.normalize(encoder.encode_tokens(ids.flatten(0, 1)), dim=-1)
    return F.normalize(encoded.unflatten(0, ids.shape[:2]).mean(dim=1), dim=-1)
