"""The sink channels of a scenes CLIP, which RF-CLIP asks for: where single tokens hold most.

A token's share of a channel is (x - min) d / sum(x - min) over its d channels, as in
`mmseg_clipsurgery.methods.quietened`; 1 is even. A channel's figure is its largest share among a scene's patches after
any block, as a mean over the square scenes of `dev`; the channels with the highest figures are the sinks.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COUNT = 8  # as many as RF-CLIP has of OpenAI's ViT-B/16


@torch.no_grad()
def sink_channels(model: nn.Module, batches: Iterable[Tensor], count: int = COUNT) -> list[int]:
    """The sinks of the image tower, in ascending order.

    Args:
        model: the CLIP.
        batches: images of the trained size, each "b 3 h w", normalised.
        count: how many channels.
    """
    found: list[Tensor] = []
    blocks = model.visual.transformer.resblocks
    hooks = [block.register_forward_hook(lambda _, __, out: found.append(out[:, 1:])) for block in blocks]
    shares = []
    for images in batches:
        found.clear()
        model.encode_image(images)
        shares.append(torch.stack([largest_shares(tokens) for tokens in found]).amax(dim=0))
    for hook in hooks:
        hook.remove()
    return sorted(torch.cat(shares).mean(dim=0).topk(count).indices.tolist())


def largest_shares(tokens: Tensor) -> Tensor:
    """Of tokens "b n d" the largest share of each channel, "b d"."""
    above = tokens - tokens.amin(dim=-1, keepdim=True)
    return (above * tokens.shape[-1] / above.sum(dim=-1, keepdim=True)).amax(dim=1)
