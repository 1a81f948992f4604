"""The hashed forms that ad platforms match people by, as functions of expressions.

Each platform normalises in its own way before it hashes (SHA-256, lower-case hex), and
a form that differs by a letter matches nobody, so there is one function per platform
and field. A blank or unusable value is null. After the platforms' own pages:

- Google, Data Manager API, "Format user data": white space goes, lower case; of
  gmail.com and googlemail.com also the dots and what follows a plus; phones in E.164
  with the plus; last names without punctuation. Country and postal code are sent as
  they are.
- Meta, "Customer information parameters": e-mails trimmed, lower case; phones as digits
  with the country code and no leading zeros; names, cities and states in lower case
  without punctuation and spaces, other alphabets as they are; US ZIP codes cut to five
  digits; dates of birth as YYYYMMDD; countries as two letters.
"""

import duckdb

_BARE = r"regexp_replace(lower(value), '[\s\p{P}\p{S}]+', '', 'g')"
_SPACELESS = r"regexp_replace(lower(value), '\s+', '', 'g')"
_DIGITS = r"regexp_replace(value, '[^0-9]', '', 'g')"
_GOOGLE_BOX = "split_part(split_part(google_bare_email(value), '@', 1), '+', 1)"

_NORMALISED = {
    "google_email": f"""
        case when not contains(value, '@') then null
        when split_part(google_bare_email(value), '@', 2)
            in ('gmail.com', 'googlemail.com')
        then replace({_GOOGLE_BOX}, '.', '') || '@'
            || split_part(google_bare_email(value), '@', 2)
        else google_bare_email(value) end
    """,
    "google_phone": f"if(trim(value) like '+%', '+' || nullif({_DIGITS}, ''), null)",
    "google_first_name": _SPACELESS,
    "google_last_name": _BARE,
    "meta_em": "if(contains(value, '@'), lower(trim(value)), null)",
    "meta_ph": rf"regexp_replace({_DIGITS}, '^0+', '')",
    "meta_fn": _BARE,
    "meta_ln": _BARE,
    "meta_ct": _BARE,
    "meta_st": _BARE,
    "meta_zip": rf"regexp_replace({_SPACELESS}, '^(\d{{5}})-?\d{{4}}$', '\1')",
    "meta_country": r"regexp_extract(lower(trim(value)), '^[a-z]{2}$')",
    "meta_dob": "strftime(value::date, '%Y%m%d')",
}
FUNCTIONS = frozenset(_NORMALISED)
"""The names that expressions may call, each with one argument."""


def define_hashes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions of this module known to the connection."""
    connection.execute(
        "create or replace temp macro google_bare_email(value) as "
        f"{_SPACELESS.replace('value', 'value::varchar')}"
    )
    for name, normalised in _NORMALISED.items():
        connection.execute(
            f"create or replace temp macro {name}(value) as "
            f"sha256(nullif({normalised}, ''))"
        )
