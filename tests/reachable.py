"""The tables that say who people are, how they are reached and what they agreed to."""

PEOPLE = """
    create table unified.unified_individual (
        unified_individual_id varchar, first_name varchar
    );
    create table unified.unified_contact_point_email (
        id varchar, unified_individual_id varchar, email_address varchar,
        is_undeliverable boolean, rank bigint
    );
    create table unified.unified_contact_point_phone (
        id varchar, unified_individual_id varchar,
        formatted_e164_phone_number varchar, rank bigint
    );
    create table dmo.contact_point_consent (
        id varchar, contact_point_type_id varchar, contact_point_value varchar,
        data_use_purpose_id varchar, engagement_channel_type_id varchar,
        consent_status_id varchar, consent_captured_source_name varchar,
        consent_captured_date_time timestamp, effective_from_date timestamp,
        effective_to_date timestamp, party_id varchar, source_record_id varchar
    );
    create table dmo.individual (id varchar);
"""
