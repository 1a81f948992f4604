"""Loads what the generator draws from (names, places, products) as DuckDB tables.

The YAML files in ``pools/`` are written for people; here they become narrow tables
that the SQL joins by culture or country and a drawn index.
"""

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import yaml

from cdp_assets.declarations import quoted

FOLDER = Path(__file__).parent / "pools"

_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_STROKES = str.maketrans({"ø": "o", "ł": "l", "\u0131": "i", "đ": "d", "ß": "ss"})


def load_pools(connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
    """Create the pool tables in ``connection``, by way of files in ``scratch``.

    A file and not a parameter, because DuckDB imports pandas for those: a second of
    the four that the default sample takes.
    """
    countries = _read("countries.yaml")
    tables = {
        "pool": _names(_read("cultures.yaml")),
        "culture": _cultures(_read("cultures.yaml")),
        "nickname": [
            {"name": name, "idx": index, "form": form, "forms": len(forms.split())}
            for name, forms in _read("nicknames.yaml").items()
            for index, form in enumerate(forms.split())
        ],
        "country": [_country(code, entry) for code, entry in countries.items()],
        "country_slot": _slots({c: e["weight"] for c, e in countries.items()}),
        "culture_slot": [
            {"country": code, **slot}
            for code, entry in countries.items()
            for slot in _slots(entry["cultures"])
        ],
        "place": [p for code, e in countries.items() for p in _places(code, e)],
        "street": [
            {"country": code, "idx": index, **_street(_spaced(street), entry["short"])}
            for code, entry in countries.items()
            for index, street in enumerate(entry["streets"].split())
        ],
        "mobile_range": [
            {"country": code, "idx": index, **_range(text)}
            for code, entry in countries.items()
            for index, text in enumerate(entry["mobile"])
        ],
        "quality": [_quality(s, e) for s, e in _read("quality.yaml").items()],
        **_products(_read("products.yaml")),
    }
    for name, rows in tables.items():
        path = scratch / f"{name}.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        connection.execute(
            f"create table {quoted(name)} as from read_json({literal(path)})"
        )


def literal(path: Path) -> str:
    """Return ``path`` as a SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def ascii_form(text: str, german: bool = False) -> str:
    """Return ``text`` in the letters a mailbox is made of."""
    folded = text.lower().translate(_GERMAN) if german else text.lower()
    plain = unicodedata.normalize("NFKD", folded.translate(_STROKES))
    return "".join(c for c in plain if c.isascii() and (c.isalnum() or c in "- "))


def _read(name: str) -> dict[str, Any]:
    # The C twin of the safe loader: a tenth of the time.
    content: dict[str, Any] = yaml.load(
        (FOLDER / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return content


def _spaced(word: str) -> str:
    return word.replace("_", " ")


def _slots(weights: dict[str, int]) -> list[dict[str, Any]]:
    """Spread the keys over a hundred slots, so that a draw is an equality join."""
    total = sum(weights.values())
    slots: list[dict[str, Any]] = []
    passed = 0
    for key, weight in weights.items():
        first, passed = passed * 100 // total, passed + weight
        slots += [
            {"slot": s, "value": key} for s in range(first, passed * 100 // total)
        ]
    return slots


def _family_names(entry: dict[str, Any]) -> list[str]:
    """The frequent names, then left x right in an order that favours no stem."""
    named: list[str] = entry["last"].split()
    joined = {
        left + (right.title() if left.endswith("-") else right)
        for left in entry["left"].split()
        for right in entry["right"].split()
    }
    # md5 as a fixed shuffle: the order decides the frequency.
    rare = sorted(
        joined.difference(named),
        key=lambda name: hashlib.md5(name.encode(), usedforsecurity=False).digest(),
    )
    return named + rare


def _names(cultures: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for culture, entry in cultures.items():
        kinds = {
            "m": entry["male"].split(),
            "f": entry["female"].split(),
            "l": _family_names(entry),
        }
        for kind, names in kinds.items():
            for index, name in enumerate(names):
                value = _spaced(name)
                rows.append(
                    {
                        "culture": culture,
                        "kind": kind,
                        "idx": index,
                        "value": value,
                        "mail": ascii_form(value, culture == "german"),
                    }
                )
    return rows


def _cultures(cultures: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "culture": culture,
            "male": len(entry["male"].split()),
            "female": len(entry["female"].split()),
            "last": len(_family_names(entry)),
            "double_share": float(entry.get("double", 0)),
            "two_names": bool(entry.get("two_names", False)),
            "gendered": "female_endings" in entry,
        }
        for culture, entry in cultures.items()
    ]


def _street(street: str, shortened: list[list[str]]) -> dict[str, str]:
    short = street
    for long, abbreviation in shortened:
        short = short.replace(long, abbreviation)
    return {"street": street, "short_street": short}


def _country(code: str, entry: dict[str, Any]) -> dict[str, Any]:
    plain = ("family", "flat", "currency", "locale", "time_zone", "vkorg")
    return {
        "country": code,
        **{key: entry[key] for key in plain},
        "names": entry["names"],
        "calling_code": entry["calling_code"],
        "trunk": entry["trunk"],
        "providers": entry["providers"].split(),
        "legal_forms": entry["legal_forms"],
        "trades": entry["trades"].split(),
        "number_first": bool(entry.get("number_first", False)),
        "places": len(entry["cities"]),
        "streets": len(entry["streets"].split()),
        "mobiles": len(entry["mobile"]),
    }


def _places(code: str, entry: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for index, line in enumerate(entry["cities"]):
        names, region, postcode, landline = line.split("|")
        city, *others = names.split("/")
        rows.append(
            {
                "country": code,
                "idx": index,
                "city": city,
                "other_names": others or [city],
                "region": region,
                "postcode": postcode,
                **_range(landline),
            }
        )
    return rows


def _range(text: str) -> dict[str, Any]:
    prefix, digits = text.split(":")
    return {"prefix": prefix, "digits": int(digits)}


def _quality(stream: str, entry: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {"stream": stream}
    for key, value in entry.items():
        if isinstance(value, dict):
            flat |= {f"{key}_{name}": float(share) for name, share in value.items()}
        elif isinstance(value, list):
            flat[key] = [float(sum(value[: i + 1])) for i in range(len(value))]
        else:
            flat[key] = value if key == "number" else float(value)
    return flat


def _products(entry: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    models, articles = entry["models"].split(), []
    for model_index, model in enumerate(models):
        for noun_index, line in enumerate(entry["nouns"]):
            noun, category, price = line.split("|")
            number = noun_index * len(models) + model_index
            articles.append(
                {
                    "idx": number,
                    "name": f"{model} {noun}",
                    "brand": model,
                    "category": category,
                    # Models differ by up to a fifth in price, to whole tenths.
                    "price": round(float(price) * (0.9 + 0.02 * model_index), 1),
                }
            )
    currencies = [
        {"currency": c, **values} for c, values in entry["currencies"].items()
    ]
    return {"article": articles, "currency": currencies}
