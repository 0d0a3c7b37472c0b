"""What the package costs; docs/performance.md says what each section measures. Part of the checkout alone."""

MODULES = {
    'prediction': ('image', 'slide', 'read_many'),
    'scaling': ('tokens', 'classes', 'templates', 'text', 'best'),
    'memory': ('memory', 'long_run'),
    'processes': ('start', 'one_pass', 'scenes_board', 'processes', 'loop'),
    'elsewhere': ('onnx', 'page'),
}
SECTIONS = {section: module for module, sections in MODULES.items() for section in sections}
