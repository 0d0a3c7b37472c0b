"""CLIP Surgery over OpenAI's CLIP ViT-B/16: arXiv 2304.05653.

Another CLIP is another `arch` and `pretrained`, in both towers alike. Surgery, words, templates and `test_cfg` come
from the config on top, which takes them from a protocol.
"""

model = dict(
    type='CLIPSurgerySegmentor',
    data_preprocessor=dict(
        type='CLIPSurgeryDataPreProcessor',
        mean=[0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255],
        std=[0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='CLIPSurgeryViT',
        arch=dict(name='ViT-B-16'),
        pretrained='openai',
        surgery=dict(name='clip_surgery'),
    ),
    text_encoder=dict(
        type='OpenCLIPTextEncoder',
        arch=dict(name='ViT-B-16'),
        pretrained='openai',
        vocabulary=None,
        templates='imagenet80',
    ),
    # One word and no background: pixels nearer to the word than to the empty string are labelled.
    decode_head=dict(type='SurgeryHead', threshold=0.0),
    test_cfg=dict(window_batch=16, scores=False),
)
tta_model = dict(type='CLIPSurgeryTTAModel')
