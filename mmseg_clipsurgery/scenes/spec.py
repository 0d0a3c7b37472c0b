"""The scenes benchmark, version 2, as data: everything that decides what a scene may hold.

Written down before the training run of the shipped model. A change of any value here, or of a formula in `textures`,
`shapes` or `draw`, is a new VERSION with new checksums. Version 1 had inks that were nearly alike (house and sock,
ladybird and zebra, fish and car); a training run on it was given up after 1,300 of 4,000 steps, because it still mixed
up these pairs, on training scenes too.

A scene is an RGB image of 96 x 96 pixels with a label for every pixel: one or two textured grounds with one to three
objects on them. The body of an object shows two tones: a tint, which is free, and an ink, which belongs to its class,
mixed by a pattern that also belongs to its class and covers the whole body. So the evidence for a class covers its
body; silhouettes alone, or parts, would not teach a contrastive model where the object is.

Pools: every ground texture and body pattern comes from a numbered map, and each pool has maps of its own, with their
own seeds and settings. `train` scenes use the train pool, `dev` the dev pool, `val` and `heldout` the val pool.

Held-out pairs: these colour-object pairs appear in split `heldout` only, where every object wears its held-out tint.
"""

VERSION = 2

SIZE = 96  # pixels, height and width

OBJECTS = ('fish', 'house', 'ladybird', 'tree', 'zebra', 'hive', 'sock', 'car')
GROUNDS = ('grass', 'sand', 'water', 'snow', 'gravel', 'wood')
CLASSES = OBJECTS + GROUNDS  # the label of a pixel is its place in this list

# RGB, 0..255
TINTS = {
    'red': (205, 40, 40),
    'yellow': (240, 210, 50),
    'green': (60, 175, 75),
    'blue': (55, 105, 220),
    'purple': (130, 60, 175),
    'pink': (245, 145, 190),
}

INKS = {
    'fish': (15, 30, 95),
    'house': (140, 138, 134),
    'ladybird': (15, 12, 12),
    'tree': (15, 80, 35),
    'zebra': (248, 248, 250),
    'hive': (115, 62, 15),
    'sock': (50, 205, 205),
    'car': (250, 135, 30),
}

PATTERNS = {
    'fish': 'scales',
    'house': 'bricks',
    'ladybird': 'dots',
    'tree': 'blobs',
    'zebra': 'bands',
    'hive': 'honeycomb',
    'sock': 'chevrons',
    'car': 'lines',
}

# darkest and lightest colour of each ground
GROUND_COLOURS = {
    'grass': ((45, 95, 30), (130, 180, 75)),
    'sand': ((190, 160, 105), (235, 215, 165)),
    'water': ((35, 80, 140), (140, 190, 220)),
    'snow': ((205, 215, 230), (252, 252, 254)),
    'gravel': ((60, 60, 62), (175, 172, 168)),
    'wood': ((95, 58, 30), (175, 125, 80)),
}

HELD_OUT = {
    'fish': 'red',
    'house': 'blue',
    'ladybird': 'green',
    'tree': 'purple',
    'zebra': 'yellow',
    'hive': 'pink',
    'sock': 'green',
    'car': 'yellow',
}

TWO_GROUNDS = 0.4  # share of scenes with two grounds
OBJECT_COUNTS = {
    1: 0.35,
    2: 0.4,
    3: 0.25,
}  # share of scenes with so many objects, before a crowded one is dropped
LONG_SIDE = {
    1: (0.44, 0.66),
    2: (0.40, 0.60),
    3: (0.34, 0.48),
}  # of an object, by their number, as a share of SIZE

SPLITS = ('train', 'dev', 'val', 'heldout')
POOL_OF_SPLIT = {'train': 'train', 'dev': 'dev', 'val': 'val', 'heldout': 'val'}
POOLS = {'train': 32, 'dev': 4, 'val': 4}  # maps of each class in each pool
MAP_SIZE = 160  # pixels

SCENES = {'dev': 200, 'val': 200, 'heldout': 100}  # written to disk; training scenes are drawn on the fly
