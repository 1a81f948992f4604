"""A person's names and hard facts, from whatever columns a labelled file has."""

from cdp_assets.identity.bench.declared import BenchMap
from cdp_assets.identity.bench.macros import Macros
from cdp_assets.identity.bench.records import STREAM

# Before a name, or behind the comma of "Family, Given".
_TITLE = "'(?i)(^|,\\s*)((mr|mrs|ms|miss|dr|prof|sir|rev|herr|frau)\\.?\\s+)+'"

# Words that belong to the family name behind them.
_FAMILY = (
    "'((?:(?:van|von|vom|zu|de|da|do|dos|das|del|della|di|du|la|le|el|al|bin|ibn|ter"
    "|ten|den|der|st|san|mac|mc|o)\\s+)*\\S+)$'"
)

_GENDER = """
    case
        when lower({0}) in ('m', 'male', 'man', 'mann', 'männlich', 'homme') then 'male'
        when lower({0}) in ('f', 'female', 'w', 'woman', 'frau', 'weiblich', 'femme')
            then 'female'
        when lower({0}) not in ('u', 'unknown', 'x') then lower({0})
    end
"""


def names(declared: BenchMap, macros: Macros) -> str:
    """SELECT of the rows of ``dmo.individual``."""
    given = declared.attributes
    has = {
        name: name if name in given else "null::varchar"
        for name in (
            "first_name", "middle_name", "last_name", "name_suffix", "full_name",
            "salutation", "gender",
        )
    }  # fmt: skip
    born = "birth_date" if "birth_date" in given else "null::date"
    whole = f"regexp_replace({macros.clean_text(has['full_name'])}, {_TITLE}, '\\1')"
    return f"""
        with typed as (
            select
                id, source, _load_seq, {has["salutation"]} as salutation,
                {has["first_name"]} as first_name, {has["middle_name"]} as middle_name,
                {has["last_name"]} as last_name, {has["name_suffix"]} as name_suffix,
                {_GENDER.format(has["gender"])} as gender, {born} as birth_date,
                {macros.suffix_in("whole")} as suffix_found,
                nullif(trim({macros.strip_suffix("whole")}), '') as whole
            from (select *, {whole} as whole from map.bench_cell)
        ),
        parted as (
            select *, {macros.given_name("whole")} as given,
                {macros.family_name("whole")} as family,
                strpos(whole, ',') > 0 as family_first
            from typed
        ),
        told as (
            select * exclude (family, given),
                if(family_first, split_part(given, ' ', 1), given) as given,
                if(family_first, family, regexp_extract(family, {_FAMILY}, 1))
                    as family
            from parted
        ),
        chosen as (
            select *,
                coalesce(first_name, if(last_name is null, given, null)) as first_known,
                coalesce(last_name, if(first_name is null, family, null)) as last_known
            from told
        )
        select
            id, {macros.clean_name(macros.strip_suffix("first_known"))} as first_name,
            {macros.clean_name(f"coalesce(middle_name, {_BETWEEN})")} as middle_name,
            {macros.clean_name(macros.strip_suffix("last_known"))} as last_name,
            coalesce({macros.clean_suffix("name_suffix")},
                {macros.suffix_in("last_known")}, {macros.suffix_in("first_known")},
                suffix_found) as name_suffix,
            salutation, coalesce(gender, {macros.gender_of("salutation")}) as gender_id,
            if(birth_date <= current_date, birth_date, null) as birth_date,
            false as is_anonymous, source as data_source_id,
            '{STREAM}' as data_source_object_id, id as source_record_id, _load_seq
        from chosen
    """


# The words of a whole name that neither the first nor the last name has.
_BETWEEN = """
    nullif(array_to_string(list_filter(
        string_split(coalesce(whole, ''), ' '),
        lambda word: not list_contains(
            string_split(lower(concat_ws(' ', first_known, last_known)), ' '),
            lower(replace(word, ',', ''))
        )
    ), ' '), '')
"""
