"""Colours of labels: PASCAL VOC's rule, which names a colour for every number."""


def voc_palette(count: int) -> list[list[int]]:
    """RGB colours of labels 0 to count - 1: bit 3i + c of the label becomes bit 7 - i of channel c (R, G, B)."""
    return [
        [sum(((label >> (3 * i + c)) & 1) << (7 - i) for i in range(8)) for c in range(3)]
        for label in range(count)
    ]
