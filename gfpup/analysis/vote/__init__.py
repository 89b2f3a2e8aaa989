"""Which method people prefer: a page to vote with, and what the votes of several raters say."""

from __future__ import annotations

from gfpup.analysis.vote.collect import collect
from gfpup.analysis.vote.result import Result
from gfpup.analysis.vote.trial import QUESTIONS, Trial, make_trial, page, read_trial

__all__ = ["QUESTIONS", "Result", "Trial", "collect", "make_trial", "page", "read_trial"]
