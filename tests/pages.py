"""Pages as a browser holds them: what their form would send."""

from html.parser import HTMLParser

from django.test import Client

UNSENT = {"submit", "button", "reset", "file"}


class _Fields(HTMLParser):
    """Collect the name and value of every field of a page's forms that a browser would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._name: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self._input(given)
        if tag in {"textarea", "select"}:
            self._name = given.get("name")
            self.sent[str(self._name)] = ""
        if tag == "option" and "selected" in given:
            self.sent[str(self._name)] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._name and self.lasttag == "textarea":
            self.sent[self._name] += data.removeprefix("\r\n").removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"textarea", "select"}:
            self._name = None

    def _input(self, given: dict[str, str | None]) -> None:
        kind = given.get("type")
        if kind in UNSENT or (kind in {"checkbox", "radio"} and "checked" not in given):
            return
        self.sent[str(given["name"])] = given.get("value") or ("on" if kind == "checkbox" else "")


def fields(html: str) -> dict[str, str]:
    reader = _Fields()
    reader.feed(html)
    return {name: value for name, value in reader.sent.items() if name != "csrfmiddlewaretoken"}


def open_form(client: Client, path: str) -> dict[str, str]:
    """Return what the form at this path would send, untouched."""
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return fields(answer.text)
