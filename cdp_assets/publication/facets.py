"""What a document says of a person besides the profile, facet by facet.

A facet is rows that name the person, an item made of each, and the JSON text that a
person's items make together. Keys are sorted and items in a total order, so the same
facts give the same text. From the rows also follows a signature, which says whether any
of it changed at a fraction of the cost.
"""

from dataclasses import dataclass

# Put in the place of EVERYBODY where documents are built for some people only.
CHOSEN = "unified_individual_id in (from publication_person)"
EVERYBODY = "true"

# The newest orders and cases a document names; it counts all of them.
RECENT = 5


@dataclass(frozen=True)
class Facet:
    """One facet, as parts of SQL."""

    rows: str
    """FROM and WHERE; ``{people}`` stands for the condition on the person."""
    item: str
    """A struct of all that is shown of one row."""
    found: str
    """The aggregate that makes JSON text of the items; ``{item}`` stands for one."""
    person: str = "unified_individual_id"

    def documents(self) -> str:
        """SELECT of ``unified_individual_id`` and ``found`` for the people chosen."""
        found = self.found.format(item=self.item)
        return (
            f"select {self.person} as unified_individual_id, {found} as found "
            f"from {self.rows.format(people=CHOSEN)} group by {self.person}"
        )

    def signatures(self, name: str) -> str:
        """SELECT of ``unified_individual_id`` and ``part``, a hash of all items."""
        return (
            f"select {self.person} as unified_individual_id, "
            f"sum(hash('{name}', {self.item})::hugeint) as part "
            f"from {self.rows.format(people=EVERYBODY)} group by {self.person}"
        )


def _listed(order: str) -> str:
    return f"string_agg(to_json({{item}})::varchar, ',' order by {order})"


LISTS = {
    "addresses": Facet(
        rows="unified.unified_contact_point_address where {people}",
        item="""{
            'address_line1': address_line1, 'city_name': city_name,
            'country_id': country_id, 'postal_code_text': postal_code_text,
            'rank': rank, 'record': source_record_id, 'records': records,
            'state_province_name': state_province_name
        }""",
        found=_listed("rank, id"),
    ),
    "emails": Facet(
        rows="unified.unified_contact_point_email where {people}",
        item="""{
            'email_address': email_address, 'is_undeliverable': is_undeliverable,
            'rank': rank, 'record': source_record_id, 'records': records
        }""",
        found=_listed("rank, id"),
    ),
    "phones": Facet(
        rows="unified.unified_contact_point_phone where {people}",
        item="""{
            'number': formatted_e164_phone_number, 'rank': rank,
            'record': source_record_id, 'records': records, 'type': phone_type_id
        }""",
        found=_listed("rank, id"),
    ),
    "records": Facet(
        rows="publication_link l left join dmo.individual i on i.id = l.record",
        item="""{
            'last_modified_date': i.last_modified_date, 'person_name': i.person_name,
            'record': l.record, 'source': i.data_source_id, 'tier': l.tier
        }""",
        found=_listed("l.record"),
        person="l.unified_individual_id",
    ),
    "segments": Facet(
        rows="segments.membership where left_at is null and {people}",
        item="{'entered_at': entered_at, 'segment': segment}",
        found=_listed("segment, entered_at"),
    ),
    # Every answer and not the outcome, which depends on the day: answers take effect
    # and lapse. They are given to an address, so to all that the person's records have.
    "consent": Facet(
        rows="""publication_key k join consent_answer c
            on c.contact_point_type = k.kind
            and c.contact_point_key = consent_key(k.kind, k.key)
            where k.kind in ('email', 'phone')""",
        item="""{
            'captured_at': c.captured_at, 'channel': c.channel, 'consent': c.id,
            'contact_point': k.key, 'contact_point_type': k.kind,
            'effective_from': c.effective_from, 'effective_to': c.effective_to,
            'purpose': c.purpose, 'source': c.source, 'status': c.status
        }""",
        found=_listed("k.kind, k.key, c.purpose, c.channel, c.captured_at, c.id"),
        person="k.unified_individual_id",
    ),
}

SUMMARIES = {
    "cases": Facet(
        rows="""dmo."case" c join publication_link l on l.record = c.individual_id""",
        item="""{
            'case': c.id, 'case_number': c.case_number,
            'closed_date': c.closed_date, 'is_open': c.is_open,
            'opened_date': c.opened_date, 'subject': c.subject
        }""",
        found=f"""to_json({{{{
            'count': count(*), 'open': count(*) filter (c.is_open),
            'recent': list({{item}} order by c.opened_date desc nulls last, c.id)
                [:{RECENT}]
        }}}})::varchar""",
        person="l.unified_individual_id",
    ),
    "orders": Facet(
        rows="dmo.sales_order o join publication_link l "
        "on l.record = o.sold_to_customer_id",
        item="""{
            'currency_code': o.currency_code, 'date': o.purchase_order_date,
            'net_amount': o.net_amount, 'order': o.id,
            'order_number': o.order_number, 'status': o.sales_order_status_id
        }""",
        found=f"""to_json({{{{
            'count': count(*), 'first_date': min(o.purchase_order_date),
            'last_date': max(o.purchase_order_date),
            'recent': list(
                {{item}} order by o.purchase_order_date desc nulls last, o.id
            )[:{RECENT}]
        }}}})::varchar""",
        person="l.unified_individual_id",
    ),
}
