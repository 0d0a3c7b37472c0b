"""CLIP Surgery over the embedded tiny CLIP (ViT, patch 8, 12 blocks, trained on scenes of 96 x 96 pixels)."""

model = dict(
    type='CLIPSurgerySegmentor',
    data_preprocessor=dict(
        type='CLIPSurgeryDataPreProcessor',
        mean=[0.5 * 255, 0.5 * 255, 0.5 * 255],
        std=[0.25 * 255, 0.25 * 255, 0.25 * 255],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='CLIPSurgeryViT',
        arch=dict(name='scenes'),
        pretrained='scenes',
        surgery=dict(name='clip_surgery'),
    ),
    text_encoder=dict(
        type='OpenCLIPTextEncoder',
        arch=dict(name='scenes'),
        pretrained='scenes',
        vocabulary=None,
        templates='bare',
    ),
    # One word and no background: pixels nearer to the word than to the empty string are labelled.
    decode_head=dict(type='SurgeryHead', threshold=0.0),
    test_cfg=dict(scores=False),
)
tta_model = dict(type='CLIPSurgeryTTAModel')
