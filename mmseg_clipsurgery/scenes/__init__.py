from .draw import Plan, Scene, draw_scene
from .spec import CLASSES, GROUNDS, OBJECTS, VERSION
