"""What a sample file says about its stream: format, fields, types, key, order.

DuckDB's sniffer reads it; what it cannot know (that 00123 is no number, which column
tells versions apart) is guessed here from values and names, and said to be a guess.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.streams.declared import BOOKKEEPING
from cdp_assets.streams.guessed_fields import declared_type, free_identifier

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
ENCODINGS = ("utf-8", "utf-16", "windows-1252")
# Rows that types and keys are judged by.
ROWS = 200_000
KEY = re.compile(r"^(id|uuid|guid|key|number)$|(id|_no|_number|_key)$", re.IGNORECASE)
MODIFIED = re.compile(r"modif|updat|chang|last.?edit|systemmodstamp", re.IGNORECASE)
DELETED = re.compile(r"deleted|is_?removed", re.IGNORECASE)
PERSONAL = {
    "email": re.compile(r"e.?mail", re.IGNORECASE),
    "phone": re.compile(r"phone|mobile|telefon|fax", re.IGNORECASE),
    "name": re.compile(r"(first|last|middle|full|sur|given|family).?name", re.I),
    "birth_date": re.compile(r"birth|\bdob\b", re.IGNORECASE),
    "address": re.compile(r"street|address", re.IGNORECASE),
}


class GuessError(OperatorError, ValueError):
    """A file that tells nothing; the message says what would."""


@dataclass(frozen=True)
class Guess:
    """One field as the file shows it."""

    name: str
    sent_as: str
    type: str
    pii: str | None
    is_unique: bool
    is_filled: bool


@dataclass(frozen=True)
class Guessed:
    """A stream as its file shows it."""

    format: str
    encoding: str
    delimiter: str
    record_path: str | None
    """Of a JSON document, the key whose list holds the records."""
    pattern: str
    rows: int
    fields: tuple[Guess, ...]

    @property
    def key(self) -> Guess | None:
        """The likeliest key: without repetition or gaps, and named like one if any."""
        fit = [each for each in self.fields if each.is_unique and each.is_filled]
        named = [each for each in fit if KEY.search(each.name)]
        texts = [each for each in fit if each.type in ("string", "integer")]
        return next(iter([*named, *texts]), None)

    @property
    def modified_at(self) -> Guess | None:
        """The likeliest time of change."""
        times = [each for each in self.fields if each.type in ("timestamp", "date")]
        return next((each for each in times if MODIFIED.search(each.name)), None)

    @property
    def deleted_flag(self) -> Guess | None:
        """The likeliest mark of a deleted record."""
        flags = [each for each in self.fields if each.type == "boolean"]
        return next((each for each in flags if DELETED.search(each.name)), None)

    @property
    def event_time(self) -> Guess | None:
        """The first time without gaps: when an event happened."""
        times = [each for each in self.fields if each.type == "timestamp"]
        return next((each for each in times if each.is_filled), None)


def guess(file: Path) -> Guessed:
    """Look at one file.

    Raises:
        GuessError: It has no format we read, or no rows.
    """
    format_ = FORMATS.get(file.suffix.lower())
    if format_ is None:
        raise GuessError(
            f"{file.name}: cannot tell its format from its name; name it "
            f"{', '.join(sorted(FORMATS))}"
        )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        text, encoding = file, "utf-8"
        if format_ != "parquet":
            text, encoding = _plain(file, Path(folder))
        try:
            delimiter = _read(connection, text, format_)
            record_path = _unpack(connection) if format_ == "json" else None
            fields, rows = _fields(connection, format_)
        except duckdb.Error as error:
            raise GuessError(f"{file.name}: {str(error).splitlines()[0]}") from None
    if not rows:
        raise GuessError(f"{file.name}: has no rows; take a file that has some")
    pattern = f"*{file.suffix}"
    return Guessed(format_, encoding, delimiter, record_path, pattern, rows, fields)


def _plain(file: Path, folder: Path) -> tuple[Path, str]:
    """The file as UTF-8, and the encoding it came in."""
    raw = file.read_bytes()
    is_utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ["utf-16"] if is_utf16 else [e for e in ENCODINGS if e != "utf-16"]:
        try:
            text = raw.decode("cp1252" if encoding == "windows-1252" else encoding)
        except UnicodeDecodeError:
            continue
        plain = folder / f"plain{file.suffix}"
        plain.write_text(text, encoding="utf-8", newline="")
        return plain, encoding
    raise GuessError(f"{file.name}: is none of {', '.join(ENCODINGS)}")


def _read(connection: duckdb.DuckDBPyConnection, file: Path, format_: str) -> str:
    """Make table ``seen`` of the file; returns the delimiter."""
    path, delimiter = str(file), ","
    if format_ == "csv":
        row = connection.execute(
            "select Delimiter from sniff_csv(?)", [path]
        ).fetchone()
        delimiter = str(row[0]) if row else ","
        source = "read_csv($path, delim = $delimiter, header = true, sample_size = -1)"
    elif format_ == "parquet":
        source = "read_parquet($path)"
    else:
        source = "read_json($path, sample_size = -1, maximum_object_size = 1000000000)"
    values = {"path": path} | ({"delimiter": delimiter} if format_ == "csv" else {})
    connection.execute(f"create table seen as from {source} limit {ROWS}", values)
    if format_ == "csv":
        # The same as text, as the file writes it.
        source = source.replace("sample_size = -1", "all_varchar = true")
        connection.execute(f"create table raw as from {source} limit {ROWS}", values)
    return delimiter


def _unpack(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Where the document is one object around the records, take those."""
    columns = connection.execute("describe seen").fetchall()
    lists = [name for name, kind, *_ in columns if str(kind).endswith(")[]")]
    (rows,) = connection.execute("select count(*) from seen").fetchone() or (0,)
    if rows != 1 or len(lists) != 1:
        return None
    column = '"' + str(lists[0]).replace('"', '""') + '"'
    connection.execute(
        f"""
        create or replace table seen as
        select record.* from (select unnest({column}) as record from seen)
        """
    )
    return str(lists[0])


def _fields(
    connection: duckdb.DuckDBPyConnection, format_: str
) -> tuple[tuple[Guess, ...], int]:
    columns = connection.execute("describe seen").fetchall()
    (rows,) = connection.execute("select count(*) from seen").fetchone() or (0,)
    taken: set[str] = set(BOOKKEEPING)
    fields = []
    for sent_as, kind, *_ in columns:
        name = free_identifier(sent_as, taken)
        taken.add(name.lower())
        quoted = '"' + sent_as.replace('"', '""') + '"'
        filled, different = connection.execute(
            f"select count({quoted}), count(distinct {quoted}) from seen"
        ).fetchone() or (0, 0)
        fields.append(
            Guess(
                name=name,
                sent_as=sent_as,
                type=declared_type(connection, quoted, str(kind), format_),
                pii=next(
                    (p for p, like in PERSONAL.items() if like.search(name)), None
                ),
                is_unique=different == filled,
                is_filled=filled == rows,
            )
        )
    return tuple(fields), int(rows)
