"""The page's look: Gradio's controls in the colours and the type of gfpup's other pages, with nothing fetched from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gradio as gr

from gfpup.analysis import web

STYLE: Final = Path(__file__).with_name("app.css")
_FONT, _MONO = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")

# fmt: off
_COLOURS: Final = {
    "paper": ("body_background_fill", "input_background_fill", "checkbox_background_color", "block_background_fill",
              "block_label_background_fill", "checkbox_label_background_fill"),
    "panel": ("checkbox_label_background_fill_hover", "checkbox_label_background_fill_selected", "background_fill_secondary",
              "button_secondary_background_fill", "button_secondary_background_fill_hover", "color_accent_soft",
              "button_cancel_background_fill", "button_cancel_background_fill_hover"),
    "ink": ("body_text_color", "block_title_text_color", "block_label_text_color", "checkbox_label_text_color",
            "checkbox_label_text_color_selected", "button_secondary_text_color", "button_secondary_text_color_hover"),
    "faint": ("body_text_color_subdued", "block_info_text_color", "input_placeholder_color", "checkbox_border_color"),
    "rule": ("block_border_color", "border_color_primary", "input_border_color", "checkbox_label_border_color",
             "button_secondary_border_color", "panel_border_color"),
    "accent": ("button_primary_background_fill", "button_primary_background_fill_hover", "button_primary_border_color",
               "slider_color", "checkbox_background_color_selected", "checkbox_border_color_selected", "link_text_color",
               "link_text_color_hover", "link_text_color_active", "link_text_color_visited", "input_border_color_focus",
               "border_color_accent", "loader_color"),
    "on-accent": ("button_primary_text_color", "button_primary_text_color_hover"),
    "bad": ("button_cancel_text_color", "button_cancel_text_color_hover", "button_cancel_border_color"),
}
"""The variables of Gradio's theme that each colour of the shared style sheet fills, in light and in dark."""
# fmt: on


def theme() -> Any:
    """Gradio's plainest theme with the shared colours and the system's fonts."""
    colours = {name: f"var(--{colour})" for colour, names in _COLOURS.items() for name in names}
    dark = {f"{name}_dark": value for name, value in colours.items()}
    return gr.themes.Base(font=_FONT, font_mono=_MONO).set(color_accent="var(--accent)", **colours, **dark)


def head() -> str:
    """The styles, for the page's head."""
    return f"<style>{web.palette()}\n{STYLE.read_text(encoding='utf-8')}</style>"
