"""The Python interface: the segmentor's own labels, golden maps and points, batches, words, and every mistake."""

import json

import golden
import golden_weights
import mmseg_clipsurgery
import photos
import tiny
from mmseg_clipsurgery.api.encoders import Encoders
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.similarity import feature_surgery, normalize, single_text_surgery
from mmseg_clipsurgery.structures import ImageTokens

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor

pytestmark = pytest.mark.mmseg

WORDS = ['cat', 'dog', 'grass', 'a red car']
WITH_BACKGROUND = {'background': ['sky', 'wall'], 'cat': ['cat', 'kitten'], 'dog': ['dog']}


@pytest.fixture(scope='module')
def model():
    return photos.model()


def mmseg_labels(path, words, short_side: int, head: dict | None = None, **test_cfg) -> tuple[Tensor, Tensor]:
    """Labels "H W" and scores "k H W" of a file by the segmentor, through MMSeg's own pipeline."""
    pytest.importorskip('mmseg')
    from mmengine.dataset import Compose
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    tower = dict(arch=photos.ARCH, pretrained=str(tiny.weights_file(photos.ARCH, photos.SEED)))
    segmentor = MODELS.build(
        dict(
            type='CLIPSurgerySegmentor',
            backbone=dict(type='CLIPSurgeryViT', surgery=photos.SURGERY, **tower),
            text_encoder=dict(
                type='OpenCLIPTextEncoder', vocabulary=words, templates='bare', text_cache=False, **tower
            ),
            decode_head=dict(type='SurgeryHead', **(head or {})),
            test_cfg=dict(scores=True, **test_cfg),
        )
    )
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(2048, short_side), keep_ratio=True),
        dict(type='PackSegInputs'),
    ]
    packed = Compose(steps)(dict(img_path=str(path)))
    data = {'inputs': [packed['inputs']], 'data_samples': [packed['data_samples']]}
    (sample,) = segmentor.test_step(data)
    return sample.pred_sem_seg.data[0], sample.seg_logits.data


@pytest.mark.parametrize(
    ('words', 'settings', 'sizes', 'head'),
    [
        (WORDS, {}, {}, {}),
        (WORDS, {}, dict(window=16, stride=8), {}),
        (WITH_BACKGROUND, dict(prob_thd=0.5, area_thd=0.2, logit_scale=60.0), {}, {}),
        (WORDS, dict(pamr=dict(iterations=2, dilations=(1, 2))), {}, {}),
        (['dog'], {}, {}, dict(threshold=0.01)),
    ],
    ids=['whole', 'windows', 'thresholds', 'pamr', 'one word'],
)
@pytest.mark.parametrize(
    'orientation',
    [pytest.param(1, id='upright', marks=pytest.mark.slow), pytest.param(6, id='turned by EXIF')],
)
def test_labels_are_the_segmentors(tmp_path, words, settings, sizes, head, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photos.save(tmp_path / 'photo.jpg', photos.photo(45, 60), quality=95, exif=exif)
    windows = dict(mode='slide', crop_size=16, stride=8) if sizes else {}
    labels, scores = mmseg_labels(path, words, 24, head, **windows, **settings)
    result = photos.model(**sizes).segment(path, words, scores=True, **head, **settings)
    assert result.labels.shape == result.pixels.shape[:2] == ((45, 60) if orientation == 1 else (60, 45))
    assert len(np.unique(result.labels)) > 1
    assert np.array_equal(result.labels, labels.numpy())
    assert np.array_equal(result.scores, scores.numpy())
    plain = photos.model(**sizes).segment(path, words, **head, **settings)
    assert plain.scores is None
    assert np.mean(plain.labels == result.labels) > 0.999  # drawn chunk by chunk: ties may fall otherwise


def test_every_kind_of_image_gives_the_same_result(model, tmp_path):
    pixels = photos.photo()
    path = photos.save(tmp_path / 'photo.png', pixels)
    kinds = {
        'path': path,
        'text': str(path),
        'PIL': Image.fromarray(pixels),
        'array': pixels,
        'tensor': torch.from_numpy(pixels.copy()).movedim(2, 0),
        '16 bits': pixels.astype(np.uint16) * 257,
    }
    results = {name: model.segment(image, WORDS) for name, image in kinds.items()}
    for name, result in results.items():
        assert np.array_equal(result.labels, results['array'].labels), name
        assert np.array_equal(result.pixels, pixels), name


def test_floats_are_read_as_they_are(model):
    exact = model.heatmaps(photos.photo(24, 24), WORDS).similarity
    floats = model.heatmaps(torch.from_numpy(photos.photo(24, 24) / 255.0).movedim(2, 0), WORDS)
    np.testing.assert_allclose(floats.similarity, exact, atol=1e-5)
    assert floats.pixels.dtype == np.uint8


@pytest.mark.parametrize('task', ['segment', 'heatmaps', 'recognise'])
def test_batch_equals_single_photos(model, task):
    images = [photos.photo(seed=0), photos.photo(50, 30, seed=1), photos.photo(seed=2)]
    together = getattr(model, task)(images, WORDS)
    for image, result in zip(images, together, strict=True):
        assert_same(result, getattr(model, task)(image, WORDS))


def assert_same(result, expected):
    """All arrays of two results agree."""
    for name, value in expected.arrays().items():
        if value.dtype.kind == 'f':
            np.testing.assert_allclose(result.arrays()[name], value, atol=1e-5)
        else:
            assert np.array_equal(result.arrays()[name], value), name


@pytest.mark.parametrize('task', ['segment', 'heatmaps', 'recognise'])
def test_words_of_each_photo_equal_separate_calls(model, task):
    images = [photos.photo(seed=0), photos.photo(seed=1), photos.photo(seed=2)]
    words = [['cat', ['dog', 'puppy']], ['car'], {'tree': ['tree', 'bush'], 'sky': 'sky', 'sea': 'sea'}]
    together = getattr(model, task)(images, words)
    for image, own, result in zip(images, words, together, strict=True):
        assert_same(result, getattr(model, task)(image, own))


def test_the_call_leaves_no_trace(model):
    first = model.segment(photos.photo(), WORDS)
    model.segment(photos.photo(), WITH_BACKGROUND, prob_thd=0.9, min_presence=1.0)
    model.with_surgery('clip').segment(photos.photo(60, 20), ['dog'])
    assert_same(model.segment(photos.photo(), WORDS), first)


def golden_model(monkeypatch, name: str):
    """The golden tower with photos that stand for the golden noise, and the golden texts as its words."""
    seed, size = golden.seed_of(name), golden.size_of(name)
    arch = golden.ARCHITECTURES['vit_dev' if 'vit' in name else 'rn_dev']
    model = load(arch, str(tiny.weights_file(arch, seed)), text_cache=False, explain_side=None)
    texts = golden_weights.text(5, 64, seed)
    empty = golden_weights.text(1, 64, seed + 100)
    monkeypatch.setattr(
        model.encoders.text,
        'embed_words',
        lambda words, groups=None, apart_from=(): torch.cat(
            [empty if word == '' else texts[int(word), None] for word in words]
        ),
    )
    count = len(golden.load(name)['similarity'])
    noise = golden_weights.image((count, 3, *size), seed)
    monkeypatch.setattr(Encoders, 'normalized', lambda self, pixels: noise[pixels[0, 0, 0]])
    return model, [np.full((*size, 3), index, np.uint8) for index in range(count)]


# Its similarities span 0.0034, which min-max stretches to 1: the golden map itself is 1.5e-5 from what float64 gives.
MAP_TOLERANCES = {'cs_rn_dev_128x128': 3e-5}


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_maps(monkeypatch, name):
    model, images = golden_model(monkeypatch, name)
    reference = golden.load(name)
    results = model.heatmaps(images, list('01234'))
    maps = np.stack([result.maps() for result in results])
    shown = torch.from_numpy(maps).permute(0, 2, 3, 1)[:, ::4, ::4]
    golden.assert_close(shown, reference['similarity_map'], MAP_TOLERANCES.get(name, golden.TOLERANCE))
    similarity = torch.stack([torch.from_numpy(result.similarity).flatten(1).T for result in results])
    golden.assert_close(similarity, reference['similarity'][:, 1:])
    single = [torch.from_numpy(result.similarity).flatten(1).T for result in model.heatmaps(images, ['0'])]
    golden.assert_close(torch.stack(single), reference['similarity_single'][:, 1:])


@pytest.mark.parametrize('name', [name for name in golden.names('cs_*') if 'points0' in golden.load(name)])
@pytest.mark.parametrize('word', [0, 1])
def test_golden_points(monkeypatch, name, word):
    model, images = golden_model(monkeypatch, name)
    reference = golden.load(name)
    others = [str(other) for other in range(5) if other != word]
    result = model.points(images[0], str(word), among=others)
    assert np.array_equal(result.xy, reference[f'points{word}'].numpy())
    assert np.array_equal(result.labels, reference[f'labels{word}'].numpy())


def test_points_encode_each_text_once(monkeypatch):
    model, encoded = photos.model(), []
    encode = model.encoders.text.embed_words
    monkeypatch.setattr(
        model.encoders.text,
        'embed_words',
        lambda words, groups=None, **more: encoded.append(tuple(words)) or encode(words, groups, **more),
    )
    pictures, words = [photos.photo(seed=seed) for seed in range(3)], ['a', 'b', 'c', 'd']
    among = model.points(pictures, ['b', 'x+a', 'x'], among=words)
    assert encoded == [('a', 'b', 'c', 'd'), ('x',)]  # the same list for every call, so that it is kept
    alone = model.points(pictures, ['a', 'b', 'a'])
    assert encoded[2:] == [('a', 'b', '')]
    for index, text in enumerate(['b', 'x+a', 'x']):
        one = model.points(pictures[index], text, among=words)
        golden.assert_close(torch.from_numpy(one.similarity), torch.from_numpy(among[index].similarity))
        assert np.array_equal(one.xy, among[index].xy)
    golden.assert_close(
        torch.from_numpy(model.points(pictures[1], 'b').similarity), torch.from_numpy(alone[1].similarity)
    )


def test_points_encode_no_text_that_segment_encoded(monkeypatch):
    """Counted where texts go into the tower, not where they are asked for."""
    model, encoded, words = photos.model(), [], ['a', 'b', 'c']
    average = type(model.encoders.text)._average
    monkeypatch.setattr(
        type(model.encoders.text),
        '_average',
        lambda self, texts, count: encoded.extend(texts) or average(self, texts, count),
    )
    model.segment(photos.photo(), words)
    for text in ('b', 'b', 'a+x', 'x'):
        model.points(photos.photo(), text, among=words)
    assert encoded == ['a', 'b', 'c', 'x']


def test_a_text_that_the_tower_cannot_tell_from_the_others_is_refused(model):
    with pytest.raises(ValueError, match="cannot tell 'Cat' from 'cat'"):
        model.points(photos.photo(), 'Cat', among=['dog', 'cat'])


def test_points_of_one_text_and_of_several(model):
    image = photos.photo(48, 64)
    cat, dog, both = (model.points(image, text, downsample=1) for text in ('cat', ' dog ', 'cat + dog'))
    assert len(cat.xy) > 0
    assert both.labels.sum() == cat.labels.sum() + dog.labels.sum()
    assert [*both.xy[both.labels == 1].tolist()] == [
        *cat.xy[cat.labels == 1].tolist(),
        *dog.xy[dog.labels == 1].tolist(),
    ]
    assert both.similarity.shape == cat.similarity.shape
    batch = model.points([image, image], ['cat', 'cat+dog'], downsample=1)
    assert np.array_equal(batch[0].xy, cat.xy)
    assert np.array_equal(batch[1].xy, both.xy)
    record = json.loads(json.dumps(both.record()))
    assert record['point_coords'] == both.xy.tolist()
    assert record['point_labels'] == both.labels.tolist()
    assert (record['height'], record['width'], record['text']) == (48, 64, 'cat + dog')


def test_more_words_are_told_apart(model):
    """Heat maps are feature surgery of CLIP's tokens; one word is told from the empty string."""
    image = photos.photo(24, 32)
    tokens = model.encoders.tokens([image], 24)[0]
    patches = normalize(tokens.patch_tokens.flatten(2).mT)
    text = model.encoders.text.embed_words([*WORDS, ''])
    several = feature_surgery(normalize(tokens.cls_token), patches, text[:-1], 'released')
    found = model.heatmaps(image, WORDS).similarity.reshape(len(WORDS), -1)
    np.testing.assert_allclose(found, several[0].T.numpy(), atol=1e-6)
    one = single_text_surgery(patches, text[:1], text[-1:])
    found = model.heatmaps(image, WORDS[:1]).similarity.reshape(1, -1)
    np.testing.assert_allclose(found, one[0].T.numpy(), atol=1e-6)


def test_synonyms_share_a_map(model):
    maps = model.heatmaps(photos.photo(), ['cat', 'kitten', 'dog'], form='cosine').similarity
    shared = model.heatmaps(photos.photo(), [['cat', 'kitten'], 'dog'], form='cosine')
    assert shared.words == ('cat', 'dog')
    np.testing.assert_allclose(shared.similarity, [np.maximum(maps[0], maps[1]), maps[2]], atol=1e-6)


def presence(model, image, words) -> np.ndarray:
    """Probability of each word against the empty string, from one-word recognitions."""
    return np.array([model.recognise(image, [word]).scores[0] for word in words])


def test_absent_words_are_dropped(model):
    image = photos.photo()
    scores = presence(model, image, WORDS)
    second, third = np.sort(scores)[[-2, -3]]
    between = float((second + third) / 2)
    kept = [word for word, score in zip(WORDS, scores, strict=True) if score > between]
    assert len(kept) == 2
    result = model.segment(image, WORDS, min_presence=between)
    assert result.classes == tuple(WORDS)
    assert set(result.shares()) <= set(kept)
    assert model.heatmaps(image, WORDS, min_presence=between).words == tuple(kept)
    best = model.segment(image, WORDS, min_presence=1.0)
    assert (best.labels == scores.argmax()).all()
    assert best.none_present
    assert best.record()['none_present']
    assert not result.none_present
    assert 'none_present' not in result.record()
    assert_same(model.segment(image, WORDS, min_presence=0), model.segment(image, WORDS))
    synonyms = {'first': kept[0], 'others': [word for word in WORDS if word != kept[0]]}
    assert model.heatmaps(image, synonyms, min_presence=between).words == ('first', 'others')


@pytest.mark.parametrize('words', [['cat'], ['cat', ['dog', 'puppy']]], ids=['one word', 'synonyms'])
def test_maps_compete_with_other_words(model, words):
    image, others = photos.photo(), ['sky', 'grass']
    result = model.heatmaps(image, words, among=others)
    joint = model.heatmaps(image, [*words, *others])
    assert result.words == joint.words[: len(words)]
    assert np.array_equal(result.similarity, joint.similarity[: len(words)])
    assert not np.allclose(result.similarity, model.heatmaps(image, words).similarity)
    known = model.heatmaps(image, words, among=['cat', *others])  # its own word is no other one
    assert np.array_equal(known.similarity, result.similarity)


def test_where_no_word_is_present_all_is_background(model):
    vocabulary = {'background': ['sky'], 'cat': ['cat'], 'dog': ['dog']}
    assert model.heatmaps(photos.photo(), vocabulary, min_presence=1.0).words == ('background',)
    assert model.heatmaps(photos.photo(), ['cat'], min_presence=1.0).words == ('cat',)
    for words in (vocabulary, ['cat']):
        absent = model.segment(photos.photo(), words, min_presence=1.0)
        assert absent.none_present
        assert absent.classes[0] == 'background'
        assert not absent.labels.any()
    assert model.segment(photos.photo(), ['cat'], threshold=-1.0).labels.all()


def test_recognition(model):
    image = photos.photo(24, 24)
    cls = normalize(model.encoders.tokens([image], 24)[0].cls_token)
    text = model.encoders.text.embed_words([*WORDS, ''])
    surgery = feature_surgery(cls, cls[:, None], text[:-1], 'released')[0, 0]
    scale = 1 / 0.07  # the weights' own
    result = model.recognise(image, WORDS)
    np.testing.assert_allclose(result.scores, (scale * surgery).softmax(0), atol=1e-5)
    assert list(result.best(2)) == [WORDS[k] for k in result.scores.argsort()[::-1][:2]]
    plain = model.recognise(image, WORDS, form='paper')
    np.testing.assert_allclose(plain.scores, (scale * (cls @ text[:-1].T)[0]).softmax(0), atol=1e-5)
    alone = [model.recognise(image, [word]).scores[0] for word in WORDS]
    np.testing.assert_allclose(result.presence, alone, atol=1e-6)  # whatever the other words
    one = model.recognise(image, WORDS[:1])
    assert np.array_equal(one.presence, one.scores)
    np.testing.assert_allclose(one.scores, (scale * (cls @ (text[:1] - text[-1:]).T)[0]).sigmoid(), atol=1e-5)
    sharp = model.recognise(image, WORDS, logit_scale=100)
    np.testing.assert_allclose(sharp.scores, (100 * surgery).softmax(0), atol=1e-5)


def test_sentence(model):
    image, sentence = photos.photo(24, 36), 'a red  car, on grass'
    result = model.explain_text(image, sentence)
    clip = tiny.clip(photos.ARCH, photos.SEED)
    ids = open_clip.SimpleTokenizer()(['a red car, on grass', 'a car, on grass', ''], context_length=12)
    with torch.no_grad():
        whole, without_red, empty = normalize(clip.encode_text(ids))
    tokens = model.encoders.tokens([image], 24)[0]
    cls, patches = normalize(tokens.cls_token)[0], normalize(tokens.patch_tokens.flatten(2).mT)[0]
    assert result.words == ('a', 'red', 'car,', 'on', 'grass')
    assert result.sentence == sentence
    assert result.match == pytest.approx(float(cls @ whole), abs=1e-5)
    assert result.relevance[1] == pytest.approx(float(cls @ (whole - without_red)), abs=1e-5)
    np.testing.assert_allclose(result.similarity.ravel(), patches @ (whole - empty), atol=1e-5)
    other = model.explain_text([image, image], [sentence, 'dog'], method='tokens')
    assert [found.words for found in other] == [result.words, ('dog',)]
    assert other[0].match == pytest.approx(result.match, abs=1e-6)


def test_attention_is_at_the_patch_of_the_pixel(model):
    result = model.with_surgery('maskclip').attention(photos.photo(48, 96), (70, 13))
    assert result.weights.shape == (6, 12)
    assert result.weights[13 // 8, 70 // 8] == 1  # the identity: a patch looks at itself
    assert result.weights.sum() == 1
    assert result.surgery == 'maskclip'
    one, two = model.attention([photos.photo(), photos.photo(20, 90)], (3, 4))
    assert (one.weights.shape, two.weights.shape) == ((6, 9), (6, 27))


def test_with_surgery_shares_the_towers_and_leaves_the_model_alone(model):
    other = model.with_surgery('clip')
    assert other.surgery_name == 'clip'
    assert model.surgery_name == 'Surgery(' + model.surgery_name.removeprefix('Surgery(')
    assert other.encoders.tower is model.encoders.tower
    assert other.encoders.text is model.encoders.text
    expected = photos.model('clip').heatmaps(photos.photo(), WORDS)
    assert_same(other.heatmaps(photos.photo(), WORDS), expected)


def test_resnets_and_defaults():
    arch = tiny.changed(tiny.RESNET, text_cfg={'vocab_size': 49408})
    model = load(arch, str(tiny.weights_file(arch)), text_cache=False, templates='bare')
    assert type(model.encoders.tower).__name__ == 'CLIPSurgeryResNet'
    assert model.segment(photos.photo(80, 100), WORDS).labels.shape == (80, 100)
    assert model.heatmaps(photos.photo(80, 100), WORDS).similarity.shape == (4, 2, 3)
    assert model.attention(photos.photo(80, 100), (50, 50)).weights.shape == (2, 3)
    assert model.explain_text(photos.photo(), 'a dog').relevance.shape == (2,)


def test_load_is_public_and_half_precision_works():
    assert mmseg_clipsurgery.load is load
    model = photos.model()
    assert model.to('cpu') is model
    half = photos.model().to(torch.bfloat16)
    agree = half.segment(photos.photo(), WORDS).labels == model.segment(photos.photo(), WORDS).labels
    assert agree.mean() > 0.9


PHOTO = photos.photo()
ERRORS = {
    'no words': (lambda m: m.segment(PHOTO, []), 'empty vocabulary'),
    'words None': (lambda m: m.heatmaps(PHOTO, None), 'got no words; give a list such as'),
    'a bare word': (lambda m: m.segment(PHOTO, 'cat'), r"unknown vocabulary name 'cat': write \['cat'\] for"),
    'no word file': (lambda m: m.segment(PHOTO, 'words/missing.txt'), 'missing.txt.*which is not a file'),
    'mixed words': (lambda m: m.segment([PHOTO], ['cat', ['dog', 'puppy']]), 'mixed.*mapping'),
    'too many lists': (lambda m: m.segment([PHOTO], [['cat'], ['dog']]), '2 lists of words for 1 photos'),
    'no image': (lambda m: m.segment(None, WORDS), 'type NoneType; give a path'),
    'no images': (lambda m: m.segment([], WORDS), 'empty list of images'),
    'scale': (lambda m: m.segment(PHOTO, WORDS, logit_scale=0), 'logit_scale must be above 0, got 0'),
    'threshold without background': (
        lambda m: m.segment(PHOTO, WORDS, prob_thd=0.1),
        'needs a vocabulary whose',
    ),
    'presence': (
        lambda m: m.segment(PHOTO, WORDS, min_presence=50),
        'min_presence must lie between 0 and 1, got 50',
    ),
    'form': (lambda m: m.heatmaps(PHOTO, WORDS, form='best'), "form must be one of .*, got 'best'"),
    'cosine among': (
        lambda m: m.heatmaps(PHOTO, WORDS, form='cosine', among=['sky']),
        'among .* no effect: the maps of the cosine',
    ),
    'explainer among': (
        lambda m: m.heatmaps(PHOTO, WORDS, explainer='legrad', among=['sky']),
        'among .* no effect: the maps of legrad',
    ),
    'threshold of several words': (
        lambda m: m.segment(PHOTO, WORDS, threshold=0.2),
        'threshold is for one word alone, got 4 words',
    ),
    'stride alone': (lambda m: photos.model(window=None, stride=8), 'the stride 8 and no window'),
    'recognition scale': (lambda m: m.recognise(PHOTO, WORDS, logit_scale=-1), 'above 0, got -1'),
    'empty part': (lambda m: m.points(PHOTO, 'cat+'), "got the text 'cat\\+'"),
    'text of several': (lambda m: m.points(PHOTO, ['cat', 'dog']), 'give a string'),
    'texts and photos': (lambda m: m.points([PHOTO], ['cat', 'dog']), '2 texts for 1 photos'),
    'no sentence': (lambda m: m.explain_text(PHOTO, '  '), 'at least one word'),
    'method': (lambda m: m.explain_text(PHOTO, 'a dog', method='shap'), "got 'shap'"),
    'long word': (
        lambda m: m.explain_text(PHOTO, 'qx' * 200),
        'more than 10 tokens and the text tower reads 10',
    ),
    'points told from themselves': (lambda m: m.points(PHOTO, 'dog', among=['dog']), 'from itself alone'),
    'batch beyond any': (
        lambda m: photos.model(batch=10**20),
        'batch must be a whole number from 1 to 65536',
    ),
    'long sentence': (
        lambda m: m.explain_text(PHOTO, 'dog ' * 20),
        '20 tokens and the text tower reads 10',
    ),
    'pixel outside': (lambda m: m.attention(PHOTO, (44, 0)), r'\(44, 0\) lies outside the photo of 44 x 30'),
    'block': (lambda m: m.attention(PHOTO, (0, 0), block=-3), 'block counts from the end, -1 to -2'),
    'surgery': (lambda m: m.with_surgery('clip_surgery'), 'reads the last 6 blocks.*has 3'),
    'batch': (lambda m: photos.model(batch=0), 'batch must be a whole number >= 1, got 0'),
    'side': (
        lambda m: photos.model(short_side=0),
        "short_side must be a number of pixels, None or 'auto', got 0",
    ),
    'window below a patch': (lambda m: photos.model(window=2).segment(PHOTO, WORDS), 'smaller than a patch'),
}


@pytest.mark.parametrize(('ask', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_mistakes(model, ask, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ask(model)


def test_whether_a_batch_keeps_the_bits_is_tried(monkeypatch):
    """Here on towers that read image by image, or add something that depends on how many there are."""
    encoders = photos.model().encoders
    tower = type(encoders.tower)
    forward = tower.forward

    def one_by_one(self, images, **options):
        found = [forward(self, image[None], **options).patch_tokens for image in images]
        return ImageTokens(None, torch.cat(found))

    def by_number(self, images, **options):
        tokens = one_by_one(self, images, **options)
        return tokens._replace(patch_tokens=tokens.patch_tokens + 1e-6 * len(images))

    for reads, expected in ((one_by_one, True), (by_number, False)):
        monkeypatch.setattr(tower, 'forward', reads)
        assert encoders.batch_keeps_bits(encoders.batch) == expected


def test_what_the_package_offers_can_be_completed_at_a_prompt():
    assert set(mmseg_clipsurgery.__all__) <= set(dir(mmseg_clipsurgery))
    assert not {'Any', 'TYPE_CHECKING', 'import_module', 'running_command'} & set(dir(mmseg_clipsurgery))


def test_a_model_says_what_it_is():
    assert repr(photos.model('clip')).endswith(' under clip, on cpu>')
