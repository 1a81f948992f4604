"""What a document says of a person besides the profile, as one query per facet.

Each query gives ``unified_individual_id`` and ``found``, JSON text: of a list, its
items separated by commas, in a total order; of a summary, an object. Keys are sorted.
A query reads its own range of ids, ``RANGE``, or the temporary tables made for that.
"""

RANGE = (
    "unified_individual_id >= $low and ($high is null or unified_individual_id < $high)"
)

# The newest orders and cases a document names; it counts all of them.
RECENT = 5

LISTS = {
    "addresses": f"""
        select unified_individual_id, string_agg(to_json({{
            'address_line1': address_line1, 'city_name': city_name,
            'country_id': country_id, 'postal_code_text': postal_code_text,
            'rank': rank, 'record': source_record_id, 'records': records,
            'state_province_name': state_province_name
            }})::varchar, ',' order by rank, id) as found
        from unified.unified_contact_point_address where {RANGE} group by all""",
    "emails": f"""
        select unified_individual_id, string_agg(to_json({{
            'email_address': email_address, 'is_undeliverable': is_undeliverable,
            'rank': rank, 'record': source_record_id, 'records': records
            }})::varchar, ',' order by rank, id) as found
        from unified.unified_contact_point_email where {RANGE} group by all""",
    "phones": f"""
        select unified_individual_id, string_agg(to_json({{
            'number': formatted_e164_phone_number, 'rank': rank,
            'record': source_record_id, 'records': records, 'type': phone_type_id
            }})::varchar, ',' order by rank, id) as found
        from unified.unified_contact_point_phone where {RANGE} group by all""",
    "records": """
        select l.unified_individual_id, string_agg(to_json({
            'last_modified_date': i.last_modified_date, 'person_name': i.person_name,
            'record': l.record, 'source': i.data_source_id, 'tier': l.tier
            })::varchar, ',' order by l.record) as found
        from publication_link l left join dmo.individual i on i.id = l.record
        group by all""",
    "segments": f"""
        select unified_individual_id, string_agg(to_json({{
            'entered_at': entered_at, 'segment': segment
            }})::varchar, ',' order by segment, entered_at) as found
        from segments.membership where left_at is null and {RANGE} group by all""",
    # Every answer and not the outcome, which depends on the day: answers take effect
    # and lapse. They are given to an address, so to all that the person's records have.
    "consent": """
        select k.unified_individual_id, string_agg(to_json({
            'captured_at': c.captured_at, 'channel': c.channel, 'consent': c.id,
            'contact_point': k.key, 'contact_point_type': k.kind,
            'effective_from': c.effective_from, 'effective_to': c.effective_to,
            'purpose': c.purpose, 'source': c.source, 'status': c.status
            })::varchar, ',' order by k.kind, k.key, c.purpose, c.channel,
            c.captured_at, c.id) as found
        from publication_key k join consent_answer c
            on c.contact_point_type = k.kind
            and c.contact_point_key = consent_key(k.kind, k.key)
        where k.kind in ('email', 'phone')
        group by all""",
}

SUMMARIES = {
    "cases": f"""
        select l.unified_individual_id, to_json({{
            'count': count(*), 'open': count(*) filter (c.is_open),
            'recent': list({{
                'case': c.id, 'case_number': c.case_number,
                'closed_date': c.closed_date, 'is_open': c.is_open,
                'opened_date': c.opened_date, 'subject': c.subject
                }} order by c.opened_date desc nulls last, c.id)[:{RECENT}]
            }})::varchar as found
        from dmo."case" c join publication_link l on l.record = c.individual_id
        group by all""",
    "orders": f"""
        select l.unified_individual_id, to_json({{
            'count': count(*), 'first_date': min(o.purchase_order_date),
            'last_date': max(o.purchase_order_date),
            'recent': list({{
                'currency_code': o.currency_code, 'date': o.purchase_order_date,
                'net_amount': o.net_amount, 'order': o.id,
                'order_number': o.order_number, 'status': o.sales_order_status_id
                }} order by o.purchase_order_date desc nulls last, o.id)[:{RECENT}]
            }})::varchar as found
        from dmo.sales_order o join publication_link l
            on l.record = o.sold_to_customer_id
        group by all""",
}
