"""From the repository to HTML: gather the pages in one folder, then run Sphinx a language."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.site.catalogue import write_compiled, write_theme_words
from tools.site.checks import check_pages
from tools.site.commands import command_pages
from tools.site.errors import error_pages
from tools.site.pages import dashboard_pages
from tools.site.rest import rest_pages
from tools.site.settings import settings_pages

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "docs"
LANGUAGES = ("en", "es")
_HERE = Path(__file__).parent
_FROM_ROOT = ("ARCHITECTURE.md", "CONTRIBUTING.md")  # pages that stand beside docs/
_USELESS = (".buildinfo", "objects.inv", "*.map")  # for builders and other sites, not for readers
_LAST = "hosts"  # of the list in the contents that a new page comes into
_PICTURES = ("*.png", "screenshots/*.png")


def build_site(folder: Path) -> int:
    """Make ``folder/html``, without a warning; returns the exit status of Sphinx."""
    source, html = folder / "source", folder / "html"
    gather_pages(source)
    shutil.rmtree(html, ignore_errors=True)
    write_compiled(source)
    for language in LANGUAGES:
        status = run_sphinx("html", source, html / language, f"language={language}")
        if status:
            return status
        for useless in _USELESS:
            for path in (html / language).rglob(useless):
                path.unlink()
    write_theme_words(html / "es")
    shutil.copy(_HERE / "templates" / "index.html", html / "index.html")
    return 0


def run_sphinx(builder: str, source: Path, out: Path, *settings: str) -> int:
    """One run from the beginning, in which each warning is a fault. It is a process of its own:
    Sphinx remembers the words of one language for the next."""
    given = [part for one in settings for part in ("-D", one)]
    trees = source.parent / "trees" / out.name
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", builder,
               *given, "-d", str(trees), str(source), str(out)]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def gather_pages(source: Path) -> None:
    """Fill the folder ``source``: what Sphinx reads, in English."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, source / page.name)
    for pattern in _PICTURES:
        for picture in (ROOT / "docs").glob(pattern):
            target = source / picture.relative_to(ROOT / "docs")
            target.parent.mkdir(exist_ok=True)
            shutil.copy(picture, target)
    contents = source / "index.md"
    contents.write_text(_with_all_pages(contents.read_text(encoding="utf-8")), encoding="utf-8")
    for name in _FROM_ROOT:
        text = (ROOT / name).read_text(encoding="utf-8")
        (source / name.lower()).write_text(re.sub(r"\]\(docs/", "](", text), encoding="utf-8")
    shutil.copy(_HERE / "conf.py", source / "conf.py")
    for name in ("templates", "static"):
        shutil.copytree(_HERE / name, source / name)
    shutil.copy(ROOT / "src/pizarra/server/static/pizarra/pizarra.svg", source / "static")
    for name, text in generated_pages().items():
        ending = "md" if text.startswith("# ") else "inc"  # a page, or what a page takes in
        page = source / "generated" / f"{name}.{ending}"
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")


def _with_all_pages(contents: str) -> str:
    """The contents, with each page of docs/ that they do not name after the page ``_LAST``."""
    named = set(re.findall(r"^[\w-]+$", contents, re.M))
    pages = sorted({page.stem for page in (ROOT / "docs").glob("*.md")} - named - {"index"})
    return contents.replace(f"\n{_LAST}\n", "\n".join(["", _LAST, *pages, ""]))


def generated_pages() -> dict[str, str]:
    """The pages and parts of pages that come from the code, by their name."""
    return {
        **command_pages(),
        **settings_pages(),
        **error_pages(),
        **dashboard_pages(),
        **rest_pages(),
        **check_pages(),
    }
