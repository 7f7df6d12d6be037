"""The documentation site: whole, strict, and by itself."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
LOADED: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
FOREIGN_STYLE: Final = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
STRICT: Final = ("-W", "--keep-going", "-q")


class Page(HTMLParser):
    """What a built page links to, what it loads, and what can be linked to in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if (kind := LOADED.get(tag)) and given.get(kind):
            self.loads.add(given[kind])


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sphinx",
        *STRICT,
        "-d",
        f"{target}-trees",
        "-c",
        f"{source}/site",
        source,
        target,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "html"
    built = build(DOCS, target)
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {file.relative_to(site).as_posix(): Page(file) for file in site.rglob("*.html")}


def dead_links(pages: dict[str, Page], site: Path) -> Iterator[str]:
    for name, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(unquote(urljoin(name, link)))
            if urlsplit(link).scheme:
                continue
            if target in pages:
                if anchor not in pages[target].anchors:
                    yield f"{name}: {link}"
            elif not (site / target).is_file():
                yield f"{name}: {link}"


def test_no_link_and_no_anchor_of_the_site_is_dead(site: Path, pages: dict[str, Page]) -> None:
    assert sum(len(page.links) for page in pages.values()) > len(pages)
    assert list(dead_links(pages, site)) == []


def test_every_page_and_every_decision_is_in_the_navigation_of_the_first_page(pages: dict[str, Page]) -> None:
    written = {file.relative_to(DOCS).with_suffix(".html").as_posix() for file in DOCS.rglob("*.md")}

    assert "decisions/0001-tenancy.html" in written
    assert written - pages["index.html"].links == {"index.html"}


def test_the_site_loads_nothing_from_another_origin(site: Path, pages: dict[str, Page]) -> None:
    assert {load for page in pages.values() for load in page.loads if urlsplit(load).netloc} == set()
    styles = [file.read_text() for file in site.rglob("*.css")]
    assert styles
    assert [style for style in styles if FOREIGN_STYLE.search(style)] == []


def test_the_search_of_the_site_has_an_index_of_its_own(site: Path) -> None:
    assert "versionconflict" in (site / "searchindex.js").read_text().lower()


def test_the_reference_tells_every_type_and_every_field_with_its_description(site: Path) -> None:
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    told = "".join(re.sub(r"<[^>]+>", "", file.read_text()) for file in (site / "api").glob("*.html"))

    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType) and kind.name[0] != "_":
            assert kind.name in told
            assert [name for name, field in kind.fields.items() if name not in told or not field.description] == []


def test_the_build_fails_and_tells_every_dead_link_and_every_page_outside_the_navigation(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    (tmp_path / "schema").mkdir()
    shutil.copy(ROOT / "schema" / "schema.graphql", tmp_path / "schema")
    with (docs / "operators.md").open("a") as file:
        file.write("\n\n[gone](gone.md)\n\n[gone](frontends.md#no-heading)\n")
    (docs / "lost.md").write_text("# Lost\n")

    built = build(docs, tmp_path / "html")

    assert built.returncode == 1
    wrong = [line.partition("docs/")[2] for line in built.stderr.splitlines()]
    assert [line.split(":")[0] for line in wrong] == ["lost.md", "operators.md", "operators.md"], built.stderr
    for complaint in ("'gone.md'", "'no-heading'", "isn't included in any toctree"):
        assert complaint in built.stderr
