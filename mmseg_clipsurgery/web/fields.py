"""The page's kinds of fields, and how events go from them to handlers: gradio's, with this page's settings.

Every field has an `elem_id`, the name under which a browser, and so its tests, find it.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..visualization.panels import OPACITY


class Fields:
    """Makers of fields.

    Args:
        gradio: the module.
    """

    def __init__(self, gradio: ModuleType):
        self.gradio = gradio

    def picture(self, name: str, label: str | None = None, value: Any = None) -> Any:
        """A picture that is shown, not chosen. JPEG: a PNG takes a second to write."""
        return self.gradio.Image(
            value,
            label=label,
            show_label=label is not None,
            elem_id=name,
            interactive=False,
            format='jpeg',
            buttons=['download', 'fullscreen'],
        )

    def message(self, name: str) -> Any:
        """A line of Markdown."""
        return self.gradio.Markdown(elem_id=name, elem_classes='message')

    def files(self, name: str) -> Any:
        """Files to fetch."""
        return self.gradio.File(label='Files', file_count='multiple', interactive=False, elem_id=name)

    def button(self, name: str, label: str, main: bool = False) -> Any:
        return self.gradio.Button(label, variant='primary' if main else 'secondary', elem_id=name)

    def opacity(self, name: str) -> Any:
        """A slider of the colours' opacity."""
        return self.gradio.Slider(0, 1, OPACITY, step=0.05, label='Opacity', elem_id=name)

    def on(self, event: Callable, action: Callable, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Connect an event; it is no public interface."""
        shown = [field for field in outputs if isinstance(field, self.gradio.Image | self.gradio.File)]
        event(action, inputs=inputs, outputs=outputs, api_visibility='private', show_progress_on=shown)

    def live(self, slider: Any, action: Callable, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Draw again while a slider moves, always its last position."""
        slider.input(
            action,
            inputs=inputs,
            outputs=outputs,
            trigger_mode='always_last',
            show_progress='hidden',
            api_visibility='private',
        )
