"""The scenes benchmark, version 3, as data: everything that decides what a scene may hold.

Fixed before the training runs whose best is shipped. A change of any value here, or of a formula in `textures`,
`shapes` or `draw`, is a new VERSION with new checksums. `docs/scenes.md` says what versions 1 and 2 taught.

A scene is an RGB image with a label for every pixel: one or two textured grounds with one to three objects on them. The
body of an object shows two tones: a tint, which is free, and the tint moved by the step of its class, mixed by a
pattern that also belongs to its class and covers the whole body. So the evidence for a class covers its body and is the
same in every tint; silhouettes alone, or parts, would not teach a contrastive model where the object is. A dark rim
says where it ends.

Pools: every ground texture and body pattern comes from a numbered map, and each pool has maps of its own, with their
own seeds and settings. `train` scenes use the train pool, `dev` the dev pool, `val` and `heldout` the val pool.

Held-out pairs, of an object and its tint or of an object and a ground of its scene, appear in split `heldout` only.
Scenes of even index show objects in their held-out tint, those of odd index objects on their held-out ground.
"""

VERSION = 3

SIZES = {(96, 96): 0.5, (96, 128): 0.25, (128, 96): 0.25}  # (height, width) in pixels -> share of the scenes
TRAINING_SIZE = (96, 96)  # of all training scenes
SHORT_SIDE = 96  # what lengths of objects are shares of

OBJECTS = ('fish', 'house', 'ladybird', 'tree', 'zebra', 'hive', 'sock', 'car')
GROUNDS = ('grass', 'sand', 'water', 'snow', 'gravel', 'wood')
CLASSES = OBJECTS + GROUNDS  # the label of a pixel is its place in this list

# RGB, 0..255, 30 from grey at most. Every channel leaves room for every step.
TINTS = {
    'red': (162, 104, 104),
    'orange': (162, 132, 102),
    'yellow': (160, 160, 102),
    'green': (102, 160, 106),
    'teal': (102, 156, 156),
    'blue': (104, 118, 162),
    'purple': (134, 102, 162),
    'pink': (162, 106, 148),
}
TINT_JITTER = 6

# What a class adds to its tint where its pattern shows. Twice a tint's distance from grey and more, so that the step is
# what stands out; all of them are hues, of which no ground has as much, and none is a change of brightness alone, since
# a dark rim, snow and gravel look like that.
STEPS = {
    'fish': (-88, -88, 88),
    'house': (0, -88, 88),
    'ladybird': (88, -88, 0),
    'tree': (-88, 88, -88),
    'zebra': (88, 88, -88),
    'hive': (88, -88, -88),
    'sock': (-88, 88, 88),
    'car': (88, -88, 88),
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

# Each tint is held out from one object, so that each is seen with seven.
HELD_OUT_TINT = {
    'fish': 'red',
    'house': 'blue',
    'ladybird': 'green',
    'tree': 'purple',
    'zebra': 'orange',
    'hive': 'pink',
    'sock': 'yellow',
    'car': 'teal',
}
HELD_OUT_GROUND = {
    'fish': 'grass',
    'house': 'water',
    'ladybird': 'snow',
    'tree': 'gravel',
    'zebra': 'wood',
    'hive': 'sand',
    'sock': 'grass',
    'car': 'water',
}

TWO_GROUNDS = 0.4  # share of scenes with two grounds
# number of objects -> share of scenes, before a crowded one is dropped; and their long side, as a share of SHORT_SIDE
OBJECT_COUNTS = {1: 0.35, 2: 0.4, 3: 0.25}
LONG_SIDE = {1: (0.56, 0.80), 2: (0.44, 0.62), 3: (0.36, 0.50)}
RIM = 0.05  # width of the dark rim, as a share of the object's long side

SPLITS = ('train', 'dev', 'val', 'heldout')
POOL_OF_SPLIT = {'train': 'train', 'dev': 'dev', 'val': 'val', 'heldout': 'val'}
POOLS = {'train': 32, 'dev': 4, 'val': 4}  # maps of each class in each pool
MAP_SIZE = 160  # pixels

SCENES = {'dev': 200, 'val': 200, 'heldout': 200}  # written to disk; training scenes are drawn on the fly
