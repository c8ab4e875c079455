"""Settings of Sphinx. ``tools.site`` copies this file beside the pages and names the language."""

from pizarra import __version__
from tools.site.languages import ENGLISH_ONLY, NOTE

project = "Pizarra"
author = "The Pizarra authors"
release = version = __version__
extensions = ["myst_parser"]

root_doc = "index"
locale_dirs = ["locale"]
gettext_compact = False  # a compiled catalogue a page, so that a page can stay English
gettext_auto_build = False  # tools.site compiles it
smartquotes = False
figure_language_filename = "{root}.{language}{ext}"  # wall.es.png, where there is one
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # pages of the code begin their parts at the level they have


def note_english(app, pagename, templatename, context, doctree):  # type: ignore[no-untyped-def]
    """Say on a Spanish page that its text is in English."""
    _ = app, templatename, doctree
    if app.config.language == "es" and f"{pagename.rpartition('/')[2]}.md" in ENGLISH_ONLY:
        context["body"] = (
            f'<p class="note-language">{NOTE}</p><div lang="en">{context["body"]}</div>'
        )


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx."""
    app.connect("html-page-context", note_english)


html_theme = "furo"
html_title = "Pizarra"
html_static_path = ["static"]
html_css_files = ["site.css"]
templates_path = ["templates"]
html_favicon = "static/pizarra.svg"
html_use_index = False
html_copy_source = False  # the pages are in the repository
html_show_sourcelink = False
html_show_copyright = html_show_sphinx = False
html_last_updated_fmt = None  # two builds of one commit are the same bytes
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "language.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
