"""How Sphinx builds the documentation site; `make docs` runs it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

project = "Workgraph"
author = "the authors of Workgraph"
extensions = ["myst_parser", "docs.site.reference", "docs.site.links"]
exclude_patterns = ["site"]
language = "en"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["misc.highlighting_failure"]  # an example may be a part of a JSON document

html_theme = "furo"
html_title = "Workgraph"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_favicon = "static/favicon.svg"
html_css_files = ["site.css"]
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
