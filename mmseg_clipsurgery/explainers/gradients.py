"""Gradients of a text's score with respect to what a block reads, and to nothing else.

    c_t = <unit(class token), text_t>                                              the cosine that CLIP's own match is
    g_t = d c_t / d r                                                              r: the class token's read, all heads

Everything else in the package runs under `torch.inference_mode` or `torch.no_grad`. Explainers build a graph inside
`gradients`, from copies of the tokens that come in, and ask `torch.autograd.grad` for gradients by reads or attentions:
weights get no `.grad`, and the tower gets no hooks. Gradients are those of fp32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from ..new_path import Block
from ..similarity import normalize

ToJoint = Callable[[Tensor], Tensor]
TEXTS_AT_ONCE = 8  # whose gradients are in memory together: each takes as much as what is differentiated by


@contextmanager
def gradients() -> Iterator[None]:
    """Inside this block a graph is built, whatever surrounds it."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def leaf(x: Tensor) -> Tensor:
    """A copy of a tensor, to be differentiated by; call it inside `gradients`, where a copy is no inference tensor."""
    return x.detach().clone().requires_grad_()


def text_scores(joint: Tensor, text: Tensor) -> Tensor:
    """Cosines of tokens "b c" in the joint space with texts "t c", L2-normalised: "b t"."""
    return normalize(joint) @ text.mT


def score_gradients(scores: Tensor, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Gradients of the texts' scores by some tensors of the graph, some texts at a time.

    Args:
        scores: "b t".
        inputs: tensors of the graph, each "b ...".

    Yields:
        Of the next texts, in order: for each input "t b ...".
    """
    directions = torch.eye(scores.shape[1]).to(scores)[:, None].expand(-1, len(scores), -1)
    yield from directed_gradients(scores, inputs, directions)


def directed_gradients(
    output: Tensor, inputs: Sequence[Tensor], directions: Tensor
) -> Iterator[tuple[Tensor, ...]]:
    """Gradients of the products of an output with directions, some directions at a time; images don't meet.

    Args:
        output: "b ...", of the graph, which is kept.
        inputs: tensors of the graph, each "b ...".
        directions: "t b ...", one for each text.

    Yields:
        Of the next texts, in order: for each input "t b ...".
    """
    for part in directions.split(TEXTS_AT_ONCE):
        yield torch.autograd.grad(output, inputs, part, retain_graph=True, is_grads_batched=True)


def joint_gradients(to_joint: ToJoint, tokens: Tensor, text: Tensor) -> Tensor:
    """Gradient of every text's cosine with a token, by the token before the final LayerNorm.

    Args:
        to_joint: the final LayerNorm and projection.
        tokens: "b d".
        text: "t c", L2-normalised.

    Returns:
        "b t d".
    """
    with gradients():
        rows = leaf(tokens[:, None].expand(-1, len(text), -1))
        cosines = (normalize(to_joint(rows)) * text.clone()).sum()
        return torch.autograd.grad(cosines, rows)[0]


def read_gradients(block: Block, first: Tensor, read: Tensor, to_joint: ToJoint, text: Tensor) -> Tensor:
    """g: gradient of every text's cosine by the class token's read in the last block.

    The class token is carried to the joint space once for each text, so that all gradients are one backward pass.

    Args:
        block: the last block.
        first: "b 1 d", the class token that enters it.
        read: "b a 1 e".
        to_joint: the final LayerNorm and projection.
        text: "t c", L2-normalised.

    Returns:
        "b t a e".
    """
    count = len(text)
    with gradients():
        reads = leaf(read.repeat_interleave(count, dim=0))
        leaving = block.feed_forward(first.clone().repeat_interleave(count, dim=0) + block.output(reads))
        joint = normalize(to_joint(leaving[:, 0])).unflatten(0, (-1, count))
        return torch.autograd.grad((joint * text.clone()).sum(), reads)[0][:, :, 0].unflatten(0, (-1, count))


def check_differentiable(tower: nn.Module) -> None:
    """Refuse what gradients are not taken of: half precision, torch.compile, weights made under inference mode.

    Raises:
        ValueError: says which of them.
    """
    for value in chain(tower.parameters(), tower.buffers()):
        if value.is_floating_point() and value.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f'gradients are taken in fp32, and the tower has weights of {value.dtype}; call .float() on it, or '
                'choose an explainer without gradients'
            )
        if value.is_inference():
            raise ValueError(
                "the tower's weights were made or moved inside torch.inference_mode, which forbids gradients; build it "
                'outside'
            )
    if torch.is_autocast_enabled(next(tower.parameters()).device.type):
        raise ValueError('gradients are taken in fp32, and autocast is on; leave it, or precision="fp32"')
    if torch.compiler.is_compiling():
        raise ValueError('gradients are not taken under torch.compile; call the explainer outside of it')
