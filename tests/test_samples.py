"""The sample sources: whether they are what the streams declare, and hard enough."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from cdp_assets.samples.generate import Manifest, SampleError, generate
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.spec import StreamSpec, load_streams

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)

STREAMS = [name for name, spec in load_streams().items() if not spec.is_system]

TRAPS = {
    "former_phone", "gmail_variant", "guest", "household", "initial", "job_changer",
    "jr_sr", "junk_value", "maiden_name", "mover", "name_order", "nickname",
    "no_contact_point", "no_diacritics", "one_surname", "recycled_phone",
    "second_record", "shared_inbox", "shared_phone", "swapped_date", "twins", "typo",
}  # fmt: skip


class Sample:
    """A generated sample with every stream as a table of text."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.db = duckdb.connect()
        for name in STREAMS:
            self.db.execute(
                f"create table {name} as {self._read(load_streams()[name])}"
            )
            self._keep_latest(load_streams()[name])
        for name in ("truth", "traps"):
            path = folder / f"{name}.csv"
            self.db.execute(
                f"create table {name} as from read_csv('{path}', all_varchar = true)"
            )

    def rows(self, sql: str) -> list[tuple]:
        return self.db.execute(sql).fetchall()

    def value(self, sql: str) -> int:
        return self.rows(sql)[0][0]

    def _read(self, spec: StreamSpec) -> str:
        files = f"'{self.folder}/{spec.name}/*.{spec.connection.format}'"
        if spec.connection.format == "csv":
            return (
                f"select * from read_csv({files}, all_varchar = true, filename = true)"
            )
        if spec.connection.format == "parquet":
            return (
                "select columns(* exclude (filename))::varchar, filename "
                f"from read_parquet({files}, filename = true)"
            )
        fields = ", ".join(f"record ->> '{name}' as \"{name}\"" for name in spec.fields)
        record = "json"
        if spec.connection.record_path:
            record = f"unnest(json_extract(json, '$.{spec.connection.record_path}[*]'))"
        return (
            f"select {fields}, filename from (select {record} as record, filename "
            f"from read_json_objects({files}, filename = true))"
        )

    def _keep_latest(self, spec: StreamSpec) -> None:
        key = ", ".join(f'"{name}"' for name in spec.primary_key)
        checks = " and ".join(accepted(spec, name) for name in spec.fields)
        self.db.execute(
            f"create table {spec.name}_latest as select * from {spec.name} "
            f"where {checks} qualify row_number() over (partition by {key} "
            f'order by try_cast("{spec.order_field}" as timestamptz) desc) = 1'
        )


def accepted(spec: StreamSpec, field: str) -> str:
    """SQL: whether a field's text can be what the stream declares."""
    sql_type = {"timestamp": "timestamptz", "number": "double"}.get(
        spec.fields[field].type, SQL_TYPES[spec.fields[field].type]
    )
    present = f'"{field}" is not null and "{field}" <> \'\''
    if spec.fields[field].required:
        return f'({present} and try_cast("{field}" as {sql_type}) is not null)'
    return f'(not ({present}) or try_cast("{field}" as {sql_type}) is not null)'


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Sample]:
    folder = tmp_path_factory.mktemp("default") / "sample"
    made = Sample(folder, generate(folder, people=2000, seed=1, as_of=AS_OF))
    yield made
    made.db.close()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    tmp_path: Path,
) -> None:
    """A sample that drifts would make every figure measured on it incomparable."""
    for name, seed in (("first", 7), ("second", 7), ("other", 8)):
        generate(tmp_path / name, people=300, seed=seed, as_of=AS_OF)
    first, second = digests(tmp_path / "first"), digests(tmp_path / "second")
    assert first == second
    other = digests(tmp_path / "other")
    same = {name for name in first if other.get(name) == first[name]}
    assert same == set()


def test_every_row_parses_but_for_the_counted_faults(sample: Sample) -> None:
    """A generator and a loader that disagree would quarantine whole streams."""
    faults = {}
    for name in STREAMS:
        spec = load_streams()[name]
        columns = [row[0] for row in sample.rows(f"describe {name}")][:-1]
        assert columns == list(spec.fields), name
        checks = " and ".join(accepted(spec, field) for field in spec.fields)
        bad = sample.value(f"select count(*) from {name} where not ({checks})")
        if bad:
            faults[name] = bad
        assert (
            sample.value(f"select count(*) from {name}")
            == (sample.manifest.records[name])
        )
    assert faults == sample.manifest.faults
    assert 3 <= sum(faults.values()) <= 10


def test_the_truth_names_every_live_person_record_once(sample: Sample) -> None:
    """A record missing from the truth would count as a false match, or not at all."""
    found = sample.rows(
        """
        select 'crm_contact', Id from crm_contact_latest where IsDeleted = 'false'
        union all
        select 'crm_lead', Id from crm_lead_latest where IsDeleted = 'false'
        union all select 'shop_customer', id from shop_customer_latest
        union all select 'shop_order', id from shop_order_latest where customer is null
        union all select 'erp_kna1', MANDT || '|' || KUNNR from erp_kna1_latest
        where STKZN = 'X' and LOEVM = ''
        union all select 'support_user', id from support_user_latest
        where role = 'end-user'
        union all select 'email_subscriber', SubscriberKey from email_subscriber_latest
        """
    )
    truth = sample.rows("select source, record_id from truth")
    assert len(truth) == len(set(truth)) == sample.manifest.person_records
    assert sorted(found) == sorted(truth)
    # A person whose only record the source deleted has none left.
    people = sample.value("select count(distinct entity_id) from truth")
    assert 0.99 * sample.manifest.people <= people <= sample.manifest.people


def test_every_trap_is_there_and_names_records_of_the_truth(sample: Sample) -> None:
    """An evaluation per trap without cases would report a perfect score."""
    counts = Counter(trap for (trap,) in sample.rows("select trap from traps"))
    assert set(counts) == TRAPS
    assert min(counts.values()) >= 15, counts
    stray = sample.value(
        "select count(*) from traps anti join "
        "(select source || ':' || record_id as record from truth) using (record)"
    )
    assert stray == 0


def contact_points(sample: Sample) -> list[tuple[str, str, str, str, str | None]]:
    """(record, e-mail, phone as written, last name, country) of every person record."""
    return sample.rows(
        """
        with point as (
          select 'crm_contact:' || Id as record, Email as email,
            coalesce(MobilePhone, Phone) as phone, LastName as last_name,
            MailingCountry as country from crm_contact_latest
          union all
          select 'crm_lead:' || Id, Email, Phone, LastName, Country from crm_lead_latest
          union all
          select 'shop_customer:' || id, email, phone, last_name,
            default_address ->> 'country_code' from shop_customer_latest
          union all
          select 'shop_order:' || id, email, phone, shipping_address ->> 'last_name',
            shipping_address ->> 'country_code' from shop_order_latest
          union all
          select 'erp_kna1:' || MANDT || '|' || KUNNR, SMTP_ADDR,
            coalesce(nullif(TELF2, ''), TELF1), NAME1, LAND1
          from erp_kna1_latest
          left join erp_adr6_latest on ADDRNUMBER = ADRNR and CONSNUMBER = '001'
          union all
          select 'support_user:' || id, email, phone,
            regexp_extract(name, '[^ ]+$'), null from support_user_latest
          union all
          select 'email_subscriber:' || SubscriberKey, EmailAddress, null, LastName,
            null
          from email_subscriber_latest
        )
        select record, email, phone, last_name, country, entity_id from point
        join truth on record = source || ':' || record_id order by record
        """
    )


COUNTRIES = {
    "Germany": "DE", "Deutschland": "DE", "Austria": "AT", "Österreich": "AT",
    "Switzerland": "CH", "Schweiz": "CH", "France": "FR", "Spain": "ES",
    "España": "ES", "Italy": "IT", "Italia": "IT", "Netherlands": "NL",
    "Nederland": "NL", "United Kingdom": "GB", "UK": "GB", "Great Britain": "GB",
    "Ireland": "IE", "Éire": "IE", "United States": "US", "USA": "US",
    "U.S.A.": "US", "Sweden": "SE", "Sverige": "SE", "Poland": "PL", "Polska": "PL",
    "Portugal": "PT", "Japan": "JP",
}  # fmt: skip


def e164(written: str | None, country: str | None) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(written or "", COUNTRIES.get(country, country))
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def exact_rules(sample: Sample) -> tuple[float, float, float]:
    """Precision, recall and F1 of: equal e-mail, or equal phone and last name."""
    parent: dict[str, str] = {}

    def root(record: str) -> str:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    holder: dict[tuple[str, ...], str] = {}
    entity = {}
    for record, email, phone, last_name, country, person in contact_points(sample):
        parent[record], entity[record] = record, person
        keys: list[tuple[str, ...]] = []
        if email and email.strip():
            keys.append((email.strip().lower(),))
        number = e164(phone, country)
        if number and last_name:
            keys.append((number, last_name.casefold()))
        for key in keys:
            parent[root(record)] = root(holder.setdefault(key, record))
    true = pairs(Counter(entity.values()).values())
    asserted = pairs(Counter(map(root, parent)).values())
    hit = pairs(Counter((entity[r], root(r)) for r in parent).values())
    precision, recall = hit / asserted, hit / true
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_exact_rules_alone_find_some_people_and_miss_many(sample: Sample) -> None:
    """Too easy a sample would prove nothing, too hard a one could not be solved."""
    precision, recall, f1 = exact_rules(sample)
    assert 0.6 <= f1 <= 0.85, (precision, recall, f1)
    assert recall < precision < 0.95, (precision, recall, f1)


def test_nearly_all_phone_numbers_are_valid_in_their_country(sample: Sample) -> None:
    """Invented numbers would be thrown out by the normaliser and match nobody."""
    junk = {"000-0000", "0", "1234567", "-", "n/a", "+49 000 0000000"}
    checked = [
        (phone, country)
        for _, _, phone, _, country, _ in contact_points(sample)
        if phone and phone not in junk and (country or phone.startswith("+"))
    ]
    valid = [row for row in checked if e164(*row)]
    assert len(checked) > 1500
    assert len(valid) >= 0.95 * len(checked), set(checked) - set(valid)


def test_nothing_happens_after_the_pinned_instant(sample: Sample) -> None:
    """A row from the future would change every figure that is measured at as_of."""
    for name in STREAMS:
        for field, declared in load_streams()[name].fields.items():
            # A consent may well run out later.
            if declared.type != "timestamp" or field == "effective_to":
                continue
            latest = sample.value(
                f'select max(try_cast("{field}" as timestamptz)) '
                f"< timestamptz '{AS_OF.isoformat()}' from {name}"
            )
            assert latest is not False, f"{name}.{field}"


def test_deltas_carry_newer_stale_repeated_and_deleted_rows(sample: Sample) -> None:
    """A loader that keeps the last row it saw would pass on a kinder sample."""
    for name in ("crm_contact", "shop_customer", "erp_kna1", "support_user"):
        spec = load_streams()[name]
        key = ", ".join(f'"{field}"' for field in spec.primary_key)
        order = f'try_cast("{spec.order_field}" as timestamptz)'
        told = f"(select {key}, {order} as stamp, filename from {name}) told"
        newer = sample.value(
            f"select count(*) from (select {key} from {told} "
            f"group by {key} having count(distinct stamp) > 1)"
        )
        stale = sample.value(
            "select count(*) from (select "
            "arg_max(stamp, filename) < max(stamp) as stale "
            f"from {told} group by {key}) where stale"
        )
        repeated = sample.value(
            f"select count(*) from (select {key} from {told} "
            f"group by {key}, stamp having count(*) > 1)"
        )
        assert (newer > 20, stale > 0, repeated > 0) == (True, True, True), name
    assert sample.value(
        "select count(*) from crm_contact_latest where IsDeleted = 'true'"
    )
    assert sample.value("select count(*) from erp_kna1_latest where LOEVM = 'X'")
    for name, key in (("web_event", "messageId"), ("email_event", "EventId")):
        twice = f"select {key} from {name} group by {key} having count(*) > 1"
        assert sample.value(f"select count(*) from ({twice})") > 10


def test_orders_nest_lines_and_refunds_that_add_up(sample: Sample) -> None:
    """Money that does not add up at the source hides errors of the models."""
    orders = sample.rows(
        "select id, subtotal_price, total_price, total_shipping_price, line_items, "
        "refunds, financial_status from shop_order_latest"
    )
    states = Counter()
    for number, subtotal, total, shipping, lines, refunds, status in orders:
        items = json.loads(lines)
        worth = sum(
            float(i["price"]) * i["quantity"] - float(i["total_discount"])
            for i in items
        )
        assert worth == pytest.approx(float(subtotal), abs=0.005), number
        assert float(total) == pytest.approx(float(subtotal) + float(shipping))
        given_back = sum(
            float(t["amount"]) for r in json.loads(refunds) for t in r["transactions"]
        )
        assert given_back <= float(subtotal) + 0.01, number
        assert (given_back > 0) == (status in ("refunded", "partially_refunded"))
        assert {line["id"] for line in items}.issuperset(
            part["line_item_id"]
            for refund in json.loads(refunds)
            for part in refund["refund_line_items"]
        )
        states[status] += 1
    assert set(states) == {
        "paid",
        "pending",
        "voided",
        "refunded",
        "partially_refunded",
    }


def test_sap_returns_credit_an_earlier_order_of_the_same_customer(
    sample: Sample,
) -> None:
    """A return that points nowhere would leave money that was paid back."""
    returns = sample.rows(
        "select r.KUNNR = o.KUNNR, r.ERDAT >= o.ERDAT, "
        "r.NETWR::double <= o.NETWR::double from erp_vbak_latest r "
        "left join erp_vbak_latest o on o.VBELN = r.VGBEL where r.AUART = 'RE'"
    )
    assert len(returns) > 10
    assert {(True, True)} == {row[:2] for row in returns}
    headers = sample.value(
        "select count(*) from erp_vbak_latest h join (select VBELN, "
        "sum(NETWR::decimal(18, 2)) filter (ABGRU = '') as net from erp_vbap_latest "
        "group by VBELN) i using (VBELN) "
        "where NETWR::decimal(18, 2) <> coalesce(net, 0)"
    )
    assert headers == 0
    assert sample.value("select count(*) from erp_vbak_latest where ABSTK = 'C'") > 3


def test_every_order_has_an_exchange_rate_for_its_currency(sample: Sample) -> None:
    """A currency without a rate turns a customer's worth into null."""
    without = sample.rows(
        """
        with money as (
          select currency as code, created_at::timestamptz::date as day
          from shop_order_latest
          union all select WAERK, AUDAT::date from erp_vbak_latest
        ), first as (
          select currency_code as code, min(rate_date::date) as day
          from finance_exchange_rate_latest group by 1
        )
        select distinct money.code from money left join first
        on first.code = money.code and first.day <= money.day where first.code is null
        """
    )
    assert without == []
    currencies = sample.rows(
        "select distinct currency_code from finance_exchange_rate_latest"
    )
    assert {c for (c,) in currencies} == {
        "EUR",
        "USD",
        "GBP",
        "SEK",
        "CHF",
        "PLN",
        "JPY",
    }
    assert sample.rows(
        "select distinct rate_to_eur::double from finance_exchange_rate_latest "
        "where currency_code = 'EUR'"
    ) == [(1.0,)]


def test_web_events_tell_of_logins_shared_devices_and_abandoned_carts(
    sample: Sample,
) -> None:
    """Without these, attribution and the cart segment would have nothing to find."""
    kinds = {
        kind for (kind,) in sample.rows("select distinct event from web_event_latest")
    }
    assert kinds == {
        None, "Product Added", "Product Removed", "Cart Viewed", "Checkout Started",
        "Order Completed",
    }  # fmt: skip
    unknown_logins = sample.value(
        "select count(*) from web_event_latest anti join shop_customer_latest "
        "on userId = id where userId is not null"
    )
    assert unknown_logins == 0
    shared = (
        "select anonymousId from web_event_latest "
        "group by 1 having count(distinct userId) > 1"
    )
    assert sample.value(f"select count(*) from ({shared})") > 20
    anonymous = sample.value("select avg((userId is null)::int) from web_event_latest")
    assert 0.2 < anonymous < 0.9
    abandoned = sample.value(
        """
        select count(*) from (
          select properties ->> 'cart_id' as cart,
            max("timestamp"::timestamptz) as last,
            bool_or(event = 'Order Completed') as ordered
          from web_event_latest where event is not null group by 1
        ) where not ordered and last between timestamptz '2026-11-01 00:00:00+00'
          - interval 30 day and timestamptz '2026-11-01 00:00:00+00' - interval 1 hour
        """
    )
    assert abandoned > 50


def test_the_consent_log_has_every_kind_of_answer(sample: Sample) -> None:
    """A sample of opt-ins alone would let a message to the unwilling pass unseen."""
    kinds = sample.rows(
        """
        select contact_point_value, array_agg(distinct status order by status) as told,
          count(distinct source) as sources,
          bool_or(effective_to is not null) as ends
        from consent_log_latest where contact_point_type = 'email' group by 1
        """
    )
    told = Counter(tuple(row[1]) for row in kinds)
    assert (
        min(told[kind] for kind in [("opt_in",), ("opt_in", "opt_out"), ("pending",)])
        > 20
    )
    assert sum(1 for row in kinds if row[2] > 1 and len(row[1]) > 1) > 20
    assert sum(1 for row in kinds if row[3]) > 10
    silent = sample.value(
        "select count(*) from email_subscriber_latest anti join consent_log_latest "
        "on lower(trim(EmailAddress)) = contact_point_value"
    )
    assert silent > 20
    assert not [v for v, *_ in kinds if not re.fullmatch(r"[^@\sA-Z]+@[^@\sA-Z]+", v)]


def test_tickets_of_known_users_are_partly_open(sample: Sample) -> None:
    """The segment that spares people with an open ticket needs some."""
    states = Counter(
        s for (s,) in sample.rows("select status from support_ticket_latest")
    )
    assert set(states) == {"new", "open", "pending", "hold", "solved", "closed"}
    assert sum(states[s] for s in ("new", "open", "pending", "hold")) > 20
    orphans = sample.value(
        "select count(*) from support_ticket_latest t anti join support_user_latest u "
        "on t.requester_id = u.id"
    )
    assert orphans == 0


def test_one_csv_begins_with_a_byte_order_mark_and_some_streets_have_two_lines(
    sample: Sample,
) -> None:
    """These are what breaks a loader that splits at line ends."""
    marked = [
        path.name
        for path in sample.folder.rglob("*.csv")
        if path.read_bytes().startswith(b"\xef\xbb\xbf")
    ]
    assert len(marked) == 1
    two_lines = (
        "select count(*) from crm_contact where contains(MailingStreet, chr(10))"
    )
    assert sample.value(two_lines) > 5


def test_a_folder_that_is_not_a_sample_is_left_alone(tmp_path: Path) -> None:
    """`cdp sample` with a wrong path must not delete somebody's files."""
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(SampleError, match="not a sample"):
        generate(tmp_path, people=100, as_of=AS_OF)
    assert (tmp_path / "letter.txt").read_text() == "keep me"


def test_too_few_people_is_refused_with_the_least_number(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="at least 100"):
        generate(tmp_path / "sample", people=99, as_of=AS_OF)
    assert not (tmp_path / "sample").exists()


def test_a_stream_that_was_added_has_no_sample_and_stops_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After README's own walk through a new stream `make run` failed for good."""
    own = load_streams() | {"loyalty_member": load_streams()["crm_contact"]}
    monkeypatch.setattr("cdp_assets.samples.generate.load_streams", lambda: own)
    manifest = generate(tmp_path / "sample", people=100, as_of=AS_OF)
    assert set(manifest.records) == set(STREAMS)


def test_the_least_sample_is_whole_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    """Empty streams at the edge would stop the pipeline's first run."""
    folder = tmp_path / "sample"
    (folder / "crm_contact").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "crm_contact" / "Contact_20200101_001.csv").write_text("Id\n")
    manifest = generate(folder, people=100, seed=3, as_of=AS_OF)
    assert json.loads((folder / "manifest.json").read_text())["people"] == 100
    assert not (folder / "crm_contact" / "Contact_20200101_001.csv").exists()
    assert set(manifest.records) == set(STREAMS)
    assert min(manifest.records.values()) > 0
