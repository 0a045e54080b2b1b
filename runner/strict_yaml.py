"""Strict YAML: the bytes of a file -> plain values, each with its position; the first step of the line.

Only the core types of YAML 1.2 exist, and a file that could be read in two ways is refused. A value is what
JSON could say: `NO`, `012`, `12:30` and dates stay text. pyyaml's parser supplies events; nothing of its own
reading of types is used, and no object is ever built from a tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from runner.errors import FileProblems, Position, Problem
from runner.problem_words import KeyPath, describe, harmless, show_path, show_text
from runner.yaml_words import CORE_TAG, NotCoreError, Place, Scalar, plain_value, syntax_problem, tagged_value

MAX_BYTES = 1_000_000
MAX_NODES = 10_000
MAX_DEPTH = 64

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Control characters, and what reorders or breaks a line unseen. YAML 1.1 counts U+0085, U+2028 and U+2029 as
# line breaks and 1.2 does not; U+202A-E and U+2066-9 make a reviewer read another text than the machine does.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as read: its `value`, and where each part of it stands.

    `places` leads from a key path to line and column of the value, `key_places` to those of the key.
    `unquoted` holds the written form of scalars that are not text (`0x1F`). `problems` are those that did not
    stop the reading; the entries they name are left out of `value`.
    """

    file: str
    text: str
    value: object = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    key_places: dict[KeyPath, Place] = field(default_factory=dict)
    unquoted: dict[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def get(self, *path: str | int) -> object:
        """Return the value at `path`, None where there is none."""
        value: object = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def problem(
        self, path: KeyPath, found: str, expected: str, hint: str | None = None, *, at_key: bool = False
    ) -> Problem:
        """Make a problem at `path`: at its key or value or, where it is missing, at what should hold it."""
        place = self.key_places.get(path) if at_key else None
        for end in range(len(path), -1, -1):
            place = place or self.places.get(path[:end])
        line, column = place or (1, 1)
        position = Position(file=harmless(self.file), line=line, column=column)
        return Problem(position=position, path=show_path(path), found=found, expected=expected, hint=hint)


def read_yaml(path: Path) -> Source:
    """Read one YAML file. Raises FileProblems where nothing can be made of it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a file"
        raise _stop(str(path), (1, 1), f"a file that cannot be read ({reason})", "a readable file") from error
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, file: str) -> Source:
    """Read YAML from `data`; `file` is how problems name it. Raises FileProblems as read_yaml does."""
    text = _decode(data, file)
    composer = _Composer(file=file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.YAMLError as error:
        place, found, expected = syntax_problem(error, text)
        raise FileProblems([*composer.problems, _problem(file, place, found, expected)]) from None
    except FileProblems as error:
        raise FileProblems([*composer.problems, *error.problems]) from None
    if composer.root is None:
        raise _stop(file, (1, 1), "an empty file", "keys and values, such as `key: value`")
    return _source(file, text, composer.root, composer.problems)


def place_of(text: str, offset: int) -> Place:
    """Return line and column, from 1, of the character at `offset`."""
    line, start = 1, 0
    for match in _LINE_BREAK.finditer(text, 0, offset):
        line, start = line + 1, match.end()
    return line, offset - start + 1


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise _stop(file, (1, 1), "a file of more than 1 MB", f"at most {MAX_BYTES:,} bytes")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _stop(file, (1, 1), "a file in UTF-16", "UTF-8", "save it again with the encoding UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8-sig")
        found = f"the byte 0x{error.object[error.start]:02X}, which is not UTF-8"
        place = place_of(before, len(before))
        raise _stop(file, place, found, "UTF-8", "save it again with the encoding UTF-8") from None
    unseen = _UNSEEN.search(text)
    if unseen is not None:
        found = f"the invisible character U+{ord(unseen.group()):04X}"
        hint = 'delete it, or write it as an escape such as "\\u202E" in double quotes'
        raise _stop(file, place_of(text, unseen.start()), found, "characters that can be seen", hint)
    return text


def _problem(
    file: str, place: Place, found: str, expected: str, hint: str | None = None, path: KeyPath = ()
) -> Problem:
    position = Position(file=harmless(file), line=place[0], column=place[1])
    return Problem(position=position, path=show_path(path), found=found, expected=expected, hint=hint)


def _stop(file: str, place: Place, found: str, expected: str, hint: str | None = None) -> FileProblems:
    return FileProblems([_problem(file, place, found, expected, hint)])


@dataclass(slots=True, kw_only=True)
class _Node:
    """A value and where it stands; `size` counts its nodes, aliases written out, `height` its levels."""

    place: Place
    scalar: Scalar = None
    written: str | None = None
    items: list[_Node] | None = None
    entries: dict[str, tuple[Place, _Node]] | None = None
    size: int = 1
    height: int = 1


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A list or mapping that is not closed yet; `key` awaits its value where `has_key` is set.

    A key of None belongs to an entry that is refused: its value is read and dropped.
    """

    node: _Node
    anchor: str | None
    has_key: bool = False
    key: str | None = None
    key_place: Place = (1, 1)


@dataclass(slots=True, kw_only=True)
class _Composer:
    """Builds the tree of nodes from the parser's events, without recursion, within the bounds."""

    file: str
    root: _Node | None = None
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Frame] = field(default_factory=list)
    #: An anchor whose value is still open leads to None.
    anchors: dict[str, _Node | None] = field(default_factory=dict)
    total: int = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        place = (event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark else (1, 1)
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, place)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event.anchor or "", place)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise _stop(self.file, place, "a second document", "one document in a file")

    def _take_scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        scalar: Scalar = event.value
        is_plain = event.tag is None and event.implicit[0]
        try:
            if is_plain:
                scalar = plain_value(event.value)
            elif event.tag is not None:
                scalar = tagged_value(event.tag, event.value)
        except NotCoreError as error:
            self._report(place, error.found, error.expected)
        written = None if isinstance(scalar, str) else event.value
        node = _Node(place=place, scalar=scalar, written=written)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._count(1, place)
        if self._awaits_key():
            self._take_key(scalar, place, is_merge=is_plain and scalar == "<<")
        else:
            self._add(node)

    def _open(self, event: yaml.CollectionStartEvent, place: Place) -> None:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in {None, "!", CORE_TAG + ("seq" if is_list else "map")}:
            self._report(place, "a tag (`!...`)", "a value without a tag")
        self._check_depth(1, place)
        self._count(1, place)
        node = _Node(place=place, items=[]) if is_list else _Node(place=place, entries={})
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(node=node, anchor=event.anchor))

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.anchor is not None:
            self.anchors[frame.anchor] = frame.node
        if self._awaits_key():
            kind = "a mapping" if frame.node.items is None else "a list"
            self._refuse_key(frame.node.place, f"{kind} as a key")
        else:
            self._add(frame.node)

    def _take_alias(self, anchor: str, place: Place) -> None:
        name = show_text(anchor)
        if anchor not in self.anchors:
            raise _stop(self.file, place, f"the alias *{name}", f"the anchor &{name} before it")
        node = self.anchors[anchor]
        if node is None:
            raise _stop(self.file, place, f"the alias *{name} inside its own value", "a value that ends")
        self._check_depth(node.height, place)
        self._count(node.size, place)
        if self._awaits_key():
            self._refuse_key(place, f"the alias *{name} as a key")
        else:
            self._add(node)

    def _awaits_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].node.entries is not None and not self.stack[-1].has_key

    def _take_key(self, key: Scalar, place: Place, *, is_merge: bool) -> None:
        frame = self.stack[-1]
        entries = frame.node.entries or {}
        if not isinstance(key, str):
            self._refuse_key(place, f"{describe(key)} as a key", "write it in quotes")
        elif is_merge:
            self._refuse_key(place, "the merge key `<<`", "write the keys out: YAML 1.2 has no merge key")
        elif key in entries:
            frame.has_key, frame.key = True, None
            hint = f"the first is in line {entries[key][0][0]}"
            path = (*self._path(), key)
            found = f"a second `{show_text(key)}`"
            self.problems.append(_problem(self.file, place, found, "each key once", hint, path))
        else:
            frame.has_key, frame.key, frame.key_place = True, key, place

    def _refuse_key(self, place: Place, found: str, hint: str | None = None) -> None:
        self._report(place, found, "text as a key", hint)
        self.stack[-1].has_key, self.stack[-1].key = True, None

    def _add(self, node: _Node) -> None:
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.node.size += node.size
        frame.node.height = max(frame.node.height, node.height + 1)
        if frame.node.items is not None:
            frame.node.items.append(node)
        elif frame.key is not None and frame.node.entries is not None:
            frame.node.entries[frame.key] = (frame.key_place, node)
        frame.has_key, frame.key = False, None

    def _check_depth(self, levels: int, place: Place) -> None:
        if len(self.stack) + levels > MAX_DEPTH:
            raise _stop(self.file, place, f"more than {MAX_DEPTH} levels of nesting", "fewer levels")

    def _count(self, nodes: int, place: Place) -> None:
        self.total += nodes
        if self.total > MAX_NODES:
            found = f"more than {MAX_NODES:,} values, counting each alias (`*name`) as what it stands for"
            raise _stop(self.file, place, found, "fewer")

    def _report(self, place: Place, found: str, expected: str, hint: str | None = None) -> None:
        self.problems.append(_problem(self.file, place, found, expected, hint, self._path()))

    def _path(self) -> KeyPath:
        """Return the path of the value that is being read."""
        path: list[str | int] = []
        for frame in self.stack:
            if frame.node.items is not None:
                path.append(len(frame.node.items))
            elif frame.key is not None:
                path.append(frame.key)
        return tuple(path)


def _source(file: str, text: str, root: _Node, problems: list[Problem]) -> Source:
    places: dict[KeyPath, Place] = {}
    key_places: dict[KeyPath, Place] = {}
    unquoted: dict[KeyPath, str] = {}

    def value_of(node: _Node, path: KeyPath) -> object:
        # Recursion is safe: the composer bounds the depth, aliases included.
        places[path] = node.place
        if node.items is not None:
            return [value_of(item, (*path, index)) for index, item in enumerate(node.items)]
        if node.entries is None:
            if node.written is not None:
                unquoted[path] = node.written
            return node.scalar
        value = {}
        for key, (key_place, entry) in node.entries.items():
            inner = (*path, key)
            key_places[inner] = key_place
            value[key] = value_of(entry, inner)
        return value

    return Source(
        file=file,
        text=text,
        value=value_of(root, ()),
        places=places,
        key_places=key_places,
        unquoted=unquoted,
        problems=tuple(problems),
    )
