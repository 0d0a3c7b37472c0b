"""Clusters of words, and the whole image's say in every patch."""

from mmseg_clipsurgery.methods.word_prior import (
    cluster_best,
    complete_linkage,
    global_logits,
    shifted_queries,
)

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def loop_clusters(queries: torch.Tensor, height: float) -> list[set[int]]:
    """Complete linkage as it is defined: the two clusters whose farthest members are nearest are joined."""
    distances = 1 - queries.double() @ queries.double().T
    clusters = [{index} for index in range(len(queries))]
    while len(clusters) > 1:
        pairs = [(a, b) for a in range(len(clusters)) for b in range(a)]
        gaps = [max(distances[i, j].item() for i in clusters[a] for j in clusters[b]) for a, b in pairs]
        if min(gaps) > height:
            break
        a, b = pairs[gaps.index(min(gaps))]
        clusters[b] |= clusters.pop(a)
    return clusters


@given(seed=st.integers(0, 2**31), count=st.integers(1, 9), height=st.floats(0, 2))
@settings(max_examples=40, deadline=None)
def test_clusters_are_those_of_the_definition(seed, count, height):
    queries = unit(count, 3, seed=seed)
    found = complete_linkage(queries, height).tolist()
    assert {frozenset(i for i in range(count) if found[i] == k) for k in set(found)} == set(
        map(frozenset, loop_clusters(queries, height))
    )
    assert sorted(set(found)) == list(range(len(set(found))))
    assert found[0] == 0


def test_one_query_of_each_cluster_is_its_best_in_each_image():
    similarity = torch.tensor([[0.1, 0.9, 0.3, 0.3], [0.8, 0.2, 0.1, 0.5]])
    found = cluster_best(similarity, torch.tensor([0, 0, 1, 1]))
    assert found.tolist() == [[False, True, True, False], [True, False, False, True]]


def test_only_the_best_moves_towards_its_two_nearest_patches():
    queries, patches = unit(4, 6), unit(2, 5, 6, seed=1)
    similarity, clusters = unit(2, 4, seed=2), torch.tensor([0, 1, 0, 1])
    found = shifted_queries(queries, patches, similarity, clusters, 0.3)
    for image in range(2):
        for index in range(4):
            rivals = [other for other in range(4) if clusters[other] == clusters[index]]
            wanted = queries[index]
            if max(rivals, key=lambda other: similarity[image, other]) == index:
                near = sorted(range(5), key=lambda n: -(patches[image, n] @ queries[index]))[:2]
                centre = F.normalize(patches[image, near].mean(dim=0), dim=0)
                wanted = F.normalize(0.7 * queries[index] + 0.3 * centre, dim=0)
            torch.testing.assert_close(found[image, index], wanted)


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_the_whole_image_has_its_share_of_every_patch(share):
    patches, queries, similarity = unit(2, 5, 6), unit(2, 3, 6, seed=1), unit(2, 3, seed=2)
    found = global_logits(patches, queries, similarity, share)
    wanted = torch.einsum('bnc,bqc->bnq', patches, queries) * (1 - share) + share * similarity[:, None]
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(global_logits(patches, queries[0], similarity, share)[0], wanted[0])
