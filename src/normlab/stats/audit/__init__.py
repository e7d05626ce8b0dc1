"""Published tables held against arithmetic.

Reading goes from left to right: a file's text → `readers` (one a format) → `RawTable`s, which are
cells with their merged cells undone → `interpret` → `PublishedTable`s, whose figures know what
they measure → `rules` → findings, each certain or a question.
"""
