"""Settings of the site for Sphinx; ``tox run -e docs`` builds it from a copy of this folder."""

from importlib.metadata import version as installed

project = "stability-harness"
author = "the maintainers of stability-harness"
release = version = installed("stability-harness")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]
"""Annotations name types of other projects, whose pages are not searched: the build needs no network."""

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
smartquotes = False  # an option's text has code in quotes

napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "stability-harness"
html_static_path = ["_static"]
html_extra_path = ["extra"]  # the example of a report
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
