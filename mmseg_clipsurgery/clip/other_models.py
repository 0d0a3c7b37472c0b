"""Weights that are known and no CLIP that is read here: each is named, with what to do."""

from collections.abc import Iterable
from pathlib import Path

# What one name at least holds: what the file is, and what to do instead.
OTHER_MODELS = {
    ('positional_embedding_res', 'text.positional_embedding_res'): (
        'a Long-CLIP, whose text tower has a second position table; use a CLIP with one'
    ),
    ('lora_A', 'lora_B', 'lora_down', 'lora_up', 'lora_magnitude_vector'): (
        'a LoRA adapter; merge it into its CLIP and save that'
    ),
    ('vision_model.head.probe', 'vision_model.head.attention'): (
        "a SigLIP in Hugging Face's form, which is not read here; give open_clip's, such as hf-hub:timm/ViT-B-16-SigLIP"
    ),
    ('image_encoder.model.', 'visual.blocks.', 'visual.attn_pool.probe'): (
        "a CLIP in its authors' own form (MobileCLIP, EVA-CLIP, Perception Encoder), which is not read here; give "
        "open_clip's, by its tag or from the hub"
    ),
    ('prompt_learner.',): 'a CLIP with learned prompts, for words of its own; give the CLIP below them',
    ('.SCB', '.quant_state.', '.qweight'): 'a quantised model; give its weights in floating point',
    ('vision_model.encoder.layers.0.self_attn.qkv.',): 'a BLIP, which is no CLIP',
    ('sam_model.', 'mask_decoder.'): 'a SAM; give it as sam',
    ('optimizer_state',): 'the state of an optimizer; give the model of the same run',
}
IMAGE_ALONE = 'holds an image tower alone; give the file of the whole CLIP, words need its text tower'
TEXT_ALONE = 'holds a text tower alone; give the file of the whole CLIP, photos need its image tower'
BARE_VISUAL = ('conv1.weight', 'class_embedding', 'ln_pre.weight')  # an image tower saved by itself


def refuse_other_models(names: Iterable[str], path: Path) -> None:
    """Raises ValueError with what a file is, where its names of tensors are a known other model's.

    Args:
        names: without prefixes.
        path: the file, for the message.
    """
    names = list(names)
    for marks, what in OTHER_MODELS.items():
        if any(mark in name for mark in marks for name in names):
            raise ValueError(f'{path} is {what}')
    if set(BARE_VISUAL) <= set(names):
        raise ValueError(f'{path} {IMAGE_ALONE}')
