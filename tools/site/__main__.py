"""Builds the site into ``build/docs/html``: ``python -m tools.site [FOLDER]``. ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.site.build import BUILD, build_site

sys.exit(build_site(Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD))
