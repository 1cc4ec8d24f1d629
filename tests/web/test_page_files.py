from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from phonobase import Archive
from phonobase.web import create_app, page

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src/phonobase/web/page"


class Tags(HTMLParser):
    """The tags of a page, and what stands between those of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep what stands in a script or a style."""
        if self.found and self.found[-1][0] in {"script", "style"} and data.strip():
            self.inside.append(data)

    def addresses(self) -> list[str]:
        """Every address of a file that the browser loads by itself."""
        return [
            address
            for tag, attributes in self.found
            for name in ("src", "href")
            if attributes.get("as") != "fetch"
            if (address := attributes.get(name)) and tag in {"script", "link", "img", "audio"}
        ]


@pytest.fixture
def archive(migrated_sqlite_url: str) -> Iterator[Archive]:
    """An archive in SQLite alone: the files hold nothing of it."""
    with Archive(migrated_sqlite_url) as opened:
        yield opened


@pytest.fixture(params=["/", "/archive/"])
def place(request: pytest.FixtureRequest, archive: Archive) -> Iterator[tuple[TestClient, str]]:
    """Whoever asks an application that stands by itself, and one that is mounted under a prefix."""
    app = create_app(archive)
    prefix = request.param
    if prefix != "/":
        host = FastAPI()
        host.mount(prefix.rstrip("/"), app)
        app = host
    with TestClient(app) as client:
        yield client, prefix


def loaded(client: TestClient, prefix: str) -> dict[str, bytes]:
    """Return all that a browser loads for the page, by address."""
    found: dict[str, bytes] = {}
    for address in (urljoin(prefix, each) for each in Tags(client.get(prefix).text).addresses()):
        answer = client.get(address)
        assert answer.status_code == 200, address
        found[address] = answer.content
    return found


def test_everything_that_the_page_loads_is_there(place: tuple[TestClient, str]) -> None:
    """The page is four files, which refer to no other, lie under the same prefix and are served."""
    client, prefix = place
    found = loaded(client, prefix)
    folder = min(found).rsplit("/", 1)[0]
    assert folder.startswith(f"{prefix}page/")
    assert {address.removeprefix(f"{folder}/") for address in found} == {
        "first.js",
        "main.css",
        "main.js",
        "icon.svg",
    }
    assert not re.search(rb"""\bimport[\s({*"']|@import|url\(""", b"\n".join(found.values()))


def test_the_page_is_built_of_what_is_there(client: TestClient) -> None:
    """The maps hold, byte for byte, every module and style there is, and the library as npm fetched it."""
    folder = min(loaded(client, "/")).rsplit("/", 1)[0]
    built_of: dict[Path, str] = {}
    for name in ("first.js", "main.css", "main.js"):
        answer = client.get(f"{folder}/{name}.map")
        assert answer.headers["content-type"] == "application/json"
        sources = json.loads(answer.content)
        built_of |= {
            (PAGE / "built" / path).resolve(): content
            for path, content in zip(sources["sources"], sources["sourcesContent"], strict=True)
        }
    library = ROOT / "node_modules/wavesurfer.js/dist"
    assert set(built_of) == {
        *(set(PAGE.glob("*.js")) - {PAGE / "shapes.js"}),  # it has only types
        *(set(PAGE.glob("*.css")) - {PAGE / "main.css"}),  # it has only the others' names
        library / "wavesurfer.esm.js",
        library / "plugins/regions.esm.js",
    }
    for path, content in built_of.items():
        assert content == path.read_text(), f"{path.name} was changed; run scripts/setup page"
    for name in ("index.html", "icon.svg"):
        assert (PAGE / "built" / name).read_bytes() == (PAGE / name).read_bytes()


def test_a_page_that_was_not_built_says_what_to_do(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where npm never ran, the API answers, and the page says how it is built."""
    monkeypatch.setattr(page, "files", lambda _package: tmp_path)
    with TestClient(create_app(archive)) as client:
        answer = client.get("/")
        assert client.get("/api/sources").status_code == 200
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the page is not built: run scripts/setup page")


def test_the_prefix_without_a_slash_leads_to_the_page(archive: Archive) -> None:
    """Relative addresses mean something else there, so a browser is sent on."""
    host = FastAPI()
    host.mount("/archive", create_app(archive))
    with TestClient(host) as client:
        answer = client.get("/archive", follow_redirects=False)
    assert answer.status_code == 307
    assert urlsplit(answer.headers["location"]).path == "/archive/"


def test_nothing_comes_from_another_host(client: TestClient) -> None:
    """Neither the page nor a file of it names an address elsewhere, but for those of XML namespaces."""
    texts = {"/": client.get("/").text} | {
        address: content.decode() for address, content in loaded(client, "/").items()
    }
    for address, text in texts.items():
        elsewhere = set(re.findall(r"(?:https?:)?//[a-z0-9][^\s\"'`)]*", text))
        assert elsewhere <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}, address


def test_the_page_runs_only_what_is_in_files(client: TestClient) -> None:
    """It has no script, style or handler of its own inside, and its policy lets none in."""
    answer = client.get("/")
    tags = Tags(answer.text)
    assert tags.inside == []
    assert not [
        name
        for _, attributes in tags.found
        for name in attributes
        if name.startswith("on") or name == "style"
    ]
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"


def test_each_page_has_a_nonce_of_its_own(client: TestClient) -> None:
    """The policy names the nonce that is in the page, and no other page has it."""
    nonces = []
    for _ in range(3):
        answer = client.get("/")
        assert answer.headers["cache-control"] == "no-store"
        (nonce,) = re.findall(r'nonce="([^"]+)"', answer.text)
        assert f"style-src 'self' 'nonce-{nonce}'" in answer.headers["content-security-policy"]
        nonces.append(nonce)
    assert len(set(nonces)) == 3


def test_files_are_kept_for_good(client: TestClient) -> None:
    """A browser keeps a file for a year; one that asks with its tag gets no content."""
    for address in loaded(client, "/"):
        answer = client.get(address)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        tag = answer.headers["etag"]
        assert re.fullmatch(r'"[0-9a-f]{64}"', tag)
        again = client.get(address, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("main.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_files_say_what_they_are(client: TestClient, name: str, media_type: str) -> None:
    """A browser that does not guess runs a module only where it is called one."""
    (address,) = (each for each in loaded(client, "/") if each.endswith(f"/{name}"))
    answer = client.get(address)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = client.head(address)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


@pytest.mark.parametrize(
    "path",
    [
        "main.js",
        "0123456789abcdef/main.js",
        "{}/page.py",
        "{}/../page.py",
        "{}/%2e%2e/page.py",
        "{}/api.js",
        "{}/../main.js",
        "{}/built/main.js",
        "{}/index.html",
    ],
)
def test_what_is_no_file_of_the_page_is_not_there(client: TestClient, path: str) -> None:
    """Neither another version of a file, nor anything beside the page, nor what only its makers need."""
    digest = Tags(client.get("/").text).addresses()[0].split("/")[1]
    answer = client.get(f"/page/{path.format(digest)}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
