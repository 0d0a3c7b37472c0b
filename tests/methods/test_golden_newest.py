"""The newer methods against numbers of the authors' codes: features, what leads to them, whole predictions."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import golden
import golden_newest
from mmseg_clipsurgery.guides.dino import DINOViT
from mmseg_clipsurgery.inference.normalization import renormalised
from mmseg_clipsurgery.inference.postprocess import PostProcess
from mmseg_clipsurgery.inference.windows import window_logits
from mmseg_clipsurgery.kept_traces import KeptTraces
from mmseg_clipsurgery.methods import same_label, word_prior
from mmseg_clipsurgery.methods.cosine_maps import cosines
from mmseg_clipsurgery.methods.outliers import local_outlier_scores, local_outliers, repaired
from mmseg_clipsurgery.methods.quietened import loud
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

FEATURES = [name for name in golden_newest.names() if not name.startswith('pipeline')]
BASES = {'resclip': 'kk+gauss', 'clearclip': 'qq', 'sclip': 'qq+kk'}  # of ResCLIP, by the authors' names
NEAR = 1e-4  # two scores, or a score and a threshold, this near to each other may fall either way


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def row_of(name: str, settings: Mapping[str, Any]) -> Surgery:
    """The surgery of a file."""
    method = name.removeprefix('pipeline_').partition('_')[0]
    row = SURGERIES[method]
    if method == 'rfclip':
        return dataclasses.replace(row, constants=dict(sinks=golden_newest.SINKS))
    if method != 'resclip':
        return row
    whole = settings.get('arch') == 'w_resi'
    affinity = BASES[settings.get('base', 'resclip')] + '&cross'
    cross = settings.get('rcs') or settings['attn_rcs_weights']
    return dataclasses.replace(row, affinity=affinity, residual=whole, ffn=whole, constants=dict(cross=cross))


def feedback_of(arrays: Mapping[str, Tensor], settings: Mapping[str, Any]):
    """The feedback of a file; None where it has none."""
    weights = settings.get('sfr_weights') or settings.get('attn_sfr_weights')
    if weights is None or not settings.get('sfr', True):
        return None
    return same_label.SameLabelFeedback(
        arrays['queries'], settings['logit_scale'], *weights, settings['temp_thd']
    )


def guide_of(settings: Mapping[str, Any]) -> DINOViT | None:
    """The second tower of a file; None where it has none."""
    if 'dino' not in settings:
        return None
    sizes = dict(settings['dino'])
    seed, image_size = sizes.pop('seed'), sizes.pop('res')
    guide = DINOViT(dict(sizes, image_size=image_size))
    shapes = {name: tuple(value.shape) for name, value in guide.state_dict().items()}
    guide.load_state_dict(golden_newest.dino_tensors(shapes, seed))
    return guide


def reader(name: str):
    """(arrays, settings, images -> ImageTokens) of a file."""
    arrays, settings = golden_newest.load(name)
    tower = golden_newest.vit(settings['tower'], row_of(name, settings))
    feedback, guide = feedback_of(arrays, settings), guide_of(settings)

    def read(images: Tensor):
        features = None if guide is None else guide(renormalised(images, tower, guide))
        return tower(images, guide=features, feedback=feedback)

    return arrays, settings, tower, read


@pytest.mark.parametrize('name', FEATURES)
def test_features(name):
    arrays, settings, _, read = reader(name)
    image = golden_newest.image(settings)
    assert torch.equal(image.flatten()[:16], arrays['image_head'])
    tokens = read(image)
    golden.assert_close(tokens.patch_tokens.flatten(2).mT, arrays['patch_features'])
    if 'cls_token' in arrays:
        golden.assert_close(tokens.cls_token, arrays['cls_token'])


@pytest.mark.parametrize('name', golden_newest.names('proxyclip*'))
def test_features_of_the_guide(name):
    arrays, settings, tower, read = reader(name)
    image, guide = golden_newest.image(settings), guide_of(settings)
    features = guide(renormalised(image, tower, guide))
    golden.assert_close(features[0].flatten(1).T, arrays['dino_features'])
    grid = tuple(arrays['grid'].tolist())
    assert features.shape[2:] == read(image).patch_tokens.shape[2:] == grid


def traces_at_the_end(name: str) -> dict[str, Tensor]:
    """What a file's surgery knows as it reads the last block, and the tokens that enter it."""
    _, settings, tower, _ = reader(name)
    image = golden_newest.image(settings)
    p = tower.projections(image, tower.surgery)
    return dict(p.traces)


@pytest.mark.parametrize('name', golden_newest.names('s[cf]*_vit12*'))
def test_outliers(name):
    arrays, _ = golden_newest.load(name)
    traces = traces_at_the_end(name)
    found = traces['local_outliers' if 'scclip' in name else 'class_outliers']
    assert found[0].nonzero().flatten().tolist() == sorted(arrays['outliers'].tolist())


@pytest.mark.parametrize('name', golden_newest.names('scclip_*'))
def test_middle_similarity_and_outlier_scores(name, monkeypatch):
    arrays, settings, _, _ = reader(name)
    seen = []
    monkeypatch.setattr(KeptTraces, 'derive', watched(KeptTraces.derive, seen))
    traces = traces_at_the_end(name)
    golden.assert_close(traces['mid_map'][0], arrays['mid_similarity'])
    (entering,) = seen
    scores = local_outlier_scores(entering[:, 1:], settings['neighbours'])
    golden.assert_close(scores[0], arrays['lof_scores'])


def watched(derive, seen: list):
    """`KeptTraces.derive` that notes the tokens that enter the last block."""

    def noting(self, entering, p):
        seen.append(entering)
        return derive(self, entering, p)

    return noting


@pytest.mark.parametrize('name', golden_newest.names('rfclip_*'))
def test_replaced_tokens(name, monkeypatch):
    arrays, settings, _, read = reader(name)
    replaced = []

    def noting(tokens, *rule):
        replaced.append(loud(tokens, *rule))
        return replaced[-1]

    monkeypatch.setattr('mmseg_clipsurgery.methods.quietened.loud', noting)
    read(golden_newest.image(settings))
    wanted = arrays['replaced'].bool()
    assert torch.equal(torch.cat(replaced).view_as(wanted), wanted)
    assert 0 < wanted.sum() < wanted.numel()


@pytest.mark.parametrize(
    'name', [name for name in FEATURES if name.startswith('resclip') and 'rcs' not in name]
)
def test_labels_and_maps_of_the_feedback(name):
    arrays, settings, tower, _ = reader(name)
    image = golden_newest.image(settings)
    tokens = F.normalize(tower(image).patch_tokens, dim=1)
    logits = torch.einsum('bchw,qc->bqhw', tokens, arrays['queries'])
    scores = same_label.query_scores(image, logits, settings['logit_scale'])
    golden.assert_close(scores[0, :, ::4, ::4], arrays['first_probabilities'])
    labels = same_label.patch_labels(scores, tuple(logits.shape[2:]), tower.patch, settings['temp_thd'])
    assert torch.equal(labels[0], arrays['patch_labels'].long())
    golden.assert_close(same_label.same_label_map(labels)[0], arrays['attention_sfr'])


@pytest.mark.parametrize(('key', 'whole'), [('logits', 'whole'), ('logits_no_whole', 'image')])
def test_logits_with_the_whole_image(key, whole):
    arrays, settings, _, read = reader('rfclip_logits_vit12_dev_96x96')
    tokens, queries = read(golden_newest.image(settings)), arrays['queries']
    clusters = word_prior.complete_linkage(queries, settings['h_threshold'])
    together = clusters[:, None] == clusters
    assert torch.equal(together, arrays['clusters'][:, None] == arrays['clusters'])
    similarity = F.normalize(read(golden_newest.image(settings, whole)).cls_token, dim=-1) @ queries.T
    patches = F.normalize(tokens.patch_tokens.flatten(2).mT, dim=-1)
    moved = word_prior.shifted_queries(queries, patches, similarity, clusters, settings['mean_vector_weight'])
    logits = word_prior.global_logits(patches, moved, similarity, settings['global_semantics_weight'])
    image_logits = F.interpolate(logits.mT.unflatten(2, (6, 6)), (96, 96), mode='bilinear')
    golden.assert_close(image_logits[0, :, ::4, ::4], arrays[key])


@pytest.mark.slow
@pytest.mark.parametrize('name', golden_newest.names('pipeline_*'))
def test_labels_and_scores_of_whole_predictions(name):
    arrays, settings, _, read = reader(name)
    image, queries = golden_newest.image(settings), arrays['queries']

    def grid_logits(windows: Tensor) -> Tensor:
        tokens = F.normalize(read(windows).patch_tokens, dim=1)
        return torch.einsum('bchw,qc->bqhw', tokens, queries)

    side, step = settings['crop'], settings['stride']
    (tiled,) = window_logits(image, grid_logits, (side, side), (step, step), 4, settings.get('pad'))
    logits = tiled.resized(tuple(settings['ori_shape'])).full().permute(1, 2, 0)
    class_of = torch.tensor(settings['query_class'])
    rule = PostProcess(class_of, settings['logit_scale'], settings['prob_thd'], settings['area_thd'])
    scores = rule.class_scores(logits).permute(2, 0, 1)
    best = scores.topk(2, dim=0).values
    decided = (best[0] - best[1] >= NEAR) & ((best[0] - settings['prob_thd']).abs() >= NEAR)
    assert decided.float().mean() > 0.99
    assert torch.equal(rule.label_scores(scores)[decided], arrays['seg_pred'].long()[decided])
    if 'resclip' in name:  # its code divides by the sum over classes
        scores = scores / scores.sum(dim=0)
    kept = arrays['seg_prob'].amax(dim=(1, 2), keepdim=True) > 0  # the area rule leaves 0 there
    golden.assert_close(scores[:, ::3, ::3] * kept, arrays['seg_prob'])


def test_the_released_repair_is_what_the_middle_map_is_made_of():
    """Without the repair the map is another, so the comparison above would notice."""
    name = 'scclip_vit12_dev_96x96'
    arrays, settings, tower, _ = reader(name)
    p = tower.projections(golden_newest.image(settings), tower.surgery)
    plain = cosines(p.traces['middle'])[0]
    assert (plain - arrays['mid_similarity']).abs().max() > 1e-2
    assert not torch.equal(repaired(p.traces['middle'], p.traces['local_outliers'], p.grid, True), plain)
    assert local_outliers(p.traces['middle'], 30, 0.05).shape == (1, 36)
