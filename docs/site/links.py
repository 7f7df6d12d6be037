"""Links that lead out of the documentation: to the repository's folders, of which the site has no page."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK: Final = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")


def name_folders(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Write the path of a linked folder as text; a linked file can be downloaded, a missing one is an error."""
    page = Path(app.env.doc2path(docname)).parent
    source[0] = LINK.sub(lambda found: _named(found, page, Path(app.srcdir).parent), source[0])


def _named(found: re.Match[str], page: Path, root: Path) -> str:
    target = (page / found[2]).resolve()
    return f"{found[1]} (`{target.relative_to(root)}/`)" if target.is_dir() else found[0]


def setup(app: "Sphinx") -> dict[str, bool]:
    """Have it done as each page is read."""
    app.connect("source-read", name_folders)
    return {"parallel_read_safe": True}
