r"""
Reads the format of `rstudio-pm.gcfg`: sections, `Key = value`, comments. It knows no key by name.

    [Name]  [Name "sub"]     the name in any case, the sub name as written; it cannot hold `"`, `]` or a line end
    Key = value ; comment    keys in any case; `;` and `#` start a comment outside of quotes
    Key = "a \" ; b"         escapes: \" \\ \n \t
    Key                      the same as `Key = true`
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SECTION = re.compile(r'\[\s*(?P<name>[A-Za-z][A-Za-z0-9-]*)(?:\s+"(?P<sub>[^"\]]*)")?\s*\]\s*(?:[;#].*)?')
_KEY = re.compile(r"(?P<key>[A-Za-z][A-Za-z0-9-]*)\s*(?P<equals>=)?")
_PIECE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)|(?P<comment>[;#].*)|(?P<bare>[^"\\;#]+)')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES: Mapping[str, str] = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One `Key = value`, with the line that it stands on; `key` as it was written."""

    key: str
    value: str
    line: int


@dataclass(slots=True)
class Section:
    """A section with everything said about it anywhere in the file; the last value of a key wins."""

    name: str
    sub: str | None
    line: int
    settings: dict[str, Setting] = field(default_factory=dict)
    """By the key in lower case."""

    def is_named(self, name: str) -> bool:
        """Whether this is a section `name`; section names do not distinguish case."""
        return self.name.lower() == name.lower()


def read(text: str, source: str, faults: list[str]) -> list[Section]:
    """
    Return the sections of `text` in the order in which they first appear.

    What cannot be read is left out and told in `faults`, each with `source` and line, so that all are told at once.
    """
    sections: dict[tuple[str, str | None], Section] = {}
    current: Section | None = None
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        try:
            if line.startswith("["):
                current = _section(line, number, sections)
            else:
                _put(current, _setting(line, number))
        except ValueError as fault:
            faults.append(f"{source}, line {number}: {fault}")
    return list(sections.values())


def _section(line: str, number: int, sections: dict[tuple[str, str | None], Section]) -> Section:
    match = _SECTION.fullmatch(line)
    if match is None:
        raise ValueError(
            'this is not a section: write [Name] or [Name "sub"], the sub name without quotes and brackets in it'
        )
    key = (match["name"].lower(), match["sub"])
    return sections.setdefault(key, Section(match["name"], match["sub"], number))


def _put(section: Section | None, setting: Setting) -> None:
    if section is None:
        raise ValueError(f"{setting.key} stands before the first [section]")
    section.settings[setting.key.lower()] = setting


def _setting(line: str, number: int) -> Setting:
    match = _KEY.match(line)
    rest = line[match.end() :] if match else ""
    if match is None or (match["equals"] is None and rest and rest[0] not in ";#"):
        raise ValueError("this is neither a [section] nor a `Key = value`")
    value = "true" if match["equals"] is None else _value(rest.strip())
    return Setting(match["key"], value, number)


def _value(text: str) -> str:
    value, kept, position = "", 0, 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            raise ValueError("a quote is not closed" if text[position] == '"' else "a value cannot end in a backslash")
        if piece["quoted"] is not None:
            value += _unescaped(piece["quoted"])
            kept = len(value)
        elif piece["escaped"] is not None:
            value += _unescaped(piece[0])
            kept = len(value)
        else:
            value += piece["bare"] or ""
        position = piece.end()
    # White space before a comment or the line's end is not part of the value, inside quotes it is.
    return value[:kept] + value[kept:].rstrip()


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        try:
            return _ESCAPES[match[1]]
        except KeyError:
            raise ValueError(rf"the escape \{match[1]} does not exist; there are \" \\ \n \t") from None

    return _ESCAPE.sub(character, text)
