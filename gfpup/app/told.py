"""Errors as one sentence in the page, whatever went wrong, while the page lives on."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

from gfpup.app.texts import EN, Texts
from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line


def told(work: Callable[..., Any], texts: Texts = EN) -> Callable[..., Any]:
    """`work` of a control, whose errors come up in the page; those that are bugs are also printed in the terminal."""

    def error_of(error: Exception) -> gr.Error:
        if isinstance(error, GfpupError):
            return gr.Error(one_line(str(error)), print_exception=False)
        traceback.print_exception(error)
        return gr.Error(texts.unexpected.format(error=type(error).__name__), print_exception=False)

    if inspect.isgeneratorfunction(work):

        @wraps(work)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from work(*args, **kwargs)
            except Exception as error:
                raise error_of(error) from None

        return steps

    @wraps(work)
    def once(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        except Exception as error:
            raise error_of(error) from None

    return once
