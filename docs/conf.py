"""Build the documentation: ``uv run --group docs sphinx-build -W --keep-going docs site``."""

from importlib.metadata import version as version_of

project = "Modelane"
author = "The Modelane developers"
copyright = "The Modelane developers"  # noqa: A001  the name that Sphinx reads
release = version = version_of("modelane")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"

smartquotes = False  # would turn --option into a dash

html_theme = "furo"
html_title = f"Modelane {release}"
