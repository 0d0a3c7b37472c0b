"""A small, randomly initialised SAM of the real classes."""


def make_sam(transformers, folder):
    """A SAM of 64 pixels in a folder."""
    vision = dict(hidden_size=32, output_channels=16, num_hidden_layers=2, num_attention_heads=2, mlp_dim=32)
    vision |= dict(image_size=64, patch_size=8, window_size=4, global_attn_indexes=[1], num_pos_feats=8)
    config = transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=16, image_size=64, patch_size=8, mask_input_channels=4),
        mask_decoder_config=dict(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_dim=32, iou_head_hidden_dim=16
        ),
    )
    transformers.SamModel(config).save_pretrained(folder)
    images = transformers.SamImageProcessor(
        size={'longest_edge': 64},
        pad_size={'height': 64, 'width': 64},
        mask_size={'longest_edge': 16},
        mask_pad_size={'height': 16, 'width': 16},
    )
    transformers.SamProcessor(images).save_pretrained(folder)
    return folder
