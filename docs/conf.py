"""Sphinx's settings: the pages of this folder and the docstrings of the public API.

`make docs` builds the site. It fetches nothing (no intersphinx), and a warning is an error, a name
of normlab that leads nowhere included. `make linkcheck` asks the sites that are linked to.
"""

from normlab._version import __version__

project = "normlab"
author = "normlab contributors"
copyright = "normlab contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Classes are named by annotations, too: those of other projects, and what is not public here, have
# no page. Functions, methods, modules and headings that are referred to must have one.
nitpick_ignore_regex = [(r"py:class", r".*"), (r"py:.*", r"(?!normlab).*")]
linkcheck_ignore = [r"http://127\.0\.0\.1.*"]
linkcheck_timeout = 20

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"normlab {release}"
html_show_copyright = False
