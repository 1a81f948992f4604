"""The manifest of a backup: what is in it, and how to tell that it still is.

It is written last and bears a checksum of itself, so a folder with a manifest that can
be read is a whole backup, and every file that it names can be compared with it.
"""

import datetime as dt
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cdp_assets.errors import OperatorError
from cdp_assets.warehouse import MIGRATIONS

NAME = "manifest.json"
FORMAT = 2


class BackupError(OperatorError, RuntimeError):
    """The backup cannot be used, or not here; the message says what to do."""


class SavedFile(BaseModel):
    """A file of the backup, by its path inside it."""

    model_config = ConfigDict(extra="forbid")

    path: str
    bytes: int
    sha256: str


class SavedTable(BaseModel):
    """A table of the warehouse: how to make it, and what it held."""

    model_config = ConfigDict(extra="forbid")

    schema_name: str
    name: str
    ddl: str
    rows: int
    digest: str
    file: SavedFile

    @property
    def full_name(self) -> str:
        """The table as ``schema.name``."""
        return f"{self.schema_name}.{self.name}"


class SavedSequence(BaseModel):
    """A sequence and the number that it gives next."""

    model_config = ConfigDict(extra="forbid")

    schema_name: str
    name: str
    next_value: int


class SavedStore(BaseModel):
    """A SQLite file, and the rows of each of its tables."""

    model_config = ConfigDict(extra="forbid")

    file: SavedFile
    rows: dict[str, int]


class Manifest(BaseModel):
    """Everything that a backup says about itself."""

    model_config = ConfigDict(extra="forbid")

    format: int
    made_at: dt.datetime
    migration: int
    """The last migration that the warehouse had seen."""
    as_of: str | None
    """The instant the clock was pinned to, as its file held it."""
    schemas: list[str]
    sequences: list[SavedSequence]
    tables: list[SavedTable]
    outbox: SavedStore | None
    field_history: SavedStore | None = None
    """Which fields of profiles changed; backups of format 1 have none."""
    landed: list[SavedFile]
    """Landed files that no load had seen."""

    @property
    def files(self) -> list[SavedFile]:
        """Every file of the backup but the manifest."""
        stores = [each.file for each in (self.outbox, self.field_history) if each]
        return [*(table.file for table in self.tables), *stores, *self.landed]

    @property
    def rows(self) -> int:
        """The rows of all tables of the warehouse together."""
        return sum(table.rows for table in self.tables)


def describe(folder: Path, path: Path) -> SavedFile:
    """Measure and hash a file of the backup in ``folder``."""
    return SavedFile(
        path=path.relative_to(folder).as_posix(),
        bytes=path.stat().st_size,
        sha256=_sha256(path),
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with its checksum."""
    content = manifest.model_dump(mode="json")
    sealed = {**content, "checksum": _checksum(content)}
    (folder / NAME).write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest, and refuse what is none, damaged or from a newer version.

    Raises:
        BackupError: With what is wrong and what would be right.
    """
    path = folder / NAME
    if not path.is_file():
        inside = sorted(found.parent.name for found in folder.glob(f"*/{NAME}"))
        hint = f"; it holds backups, name one of them: {', '.join(inside[-3:])}"
        raise BackupError(
            f"{folder} is no backup: it has no {NAME}{hint if inside else ''}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("checksum")
        version = int(content["format"])
        migration = int(content["migration"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"{path} is damaged, or no manifest of a backup") from None
    if checksum != _checksum(content):
        raise BackupError(f"{path} is damaged: its checksum does not match")
    known = latest_migration()
    if version > FORMAT or migration > known:
        raise BackupError(
            f"{folder.name} was made by a newer version (migration {migration}; this "
            f"one knows {known}): restore it with that version or a later one"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise BackupError(f"{path}: {first['loc']}: {first['msg']}") from None


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest.

    Raises:
        BackupError: Names the first that is missing or different.
    """
    for saved in manifest.files:
        path = folder / saved.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BackupError(f"{saved.path} lies outside the backup")
        if not path.is_file():
            raise BackupError(f"{saved.path} is missing from the backup")
        if path.stat().st_size != saved.bytes or _sha256(path) != saved.sha256:
            raise BackupError(
                f"{saved.path} is damaged: it is not what was written; use another "
                "backup"
            )


def latest_migration() -> int:
    """The number of the last migration that this version brings."""
    return max(known_migrations())


def known_migrations() -> set[int]:
    """The numbers of all migrations that this version brings."""
    names = (path.name for path in MIGRATIONS.glob("[0-9]*.sql"))
    return {int(name.split("_")[0]) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _checksum(content: dict[str, object]) -> str:
    packed = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(packed.encode()).hexdigest()
