"""Every task of the Python interface on one drawn scene, as arrays."""

import numpy as np


def arrays() -> dict[str, np.ndarray]:
    """'task: field' -> array."""
    from mmseg_clipsurgery import load
    from mmseg_clipsurgery.scenes.draw import draw_scene

    model, photo = load('scenes', text_cache=False), draw_scene('val', 29).image
    words = ['fish', 'car', 'gravel', 'snow']
    results = {
        'segment': model.segment(photo, words, scores=True, min_presence=0.2),
        'segment, one word': model.segment(photo, ['fish']),
        'segment, refined': model.segment(photo, words, pamr=dict(iterations=2, dilations=(1, 2))),
        'heatmaps': model.heatmaps(photo, words),
        'points': model.points(photo, 'fish', among=words),
        'recognise': model.recognise(photo, words),
        'explain_text': model.explain_text(photo, 'a purple fish on gravel'),
        'attention': model.attention(photo, (10, 20)),
        'another surgery': model.with_surgery('sclip').heatmaps(photo, words),
    }
    fields = {
        f'{task}: {field}': value
        for task, result in results.items()
        for field, value in result.arrays().items()
    }
    figures = {f'{task}: figure': np.asarray(result.draw()) for task, result in results.items()}
    return {**fields, **figures}
