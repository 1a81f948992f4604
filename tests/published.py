"""The tables that publication reads, and four people in them."""

ANN, BEN, CY, EMPTY = (f"u_{digit * 16}" for digit in "abce")
OLD = "u_" + "0" * 16

# Ann: two records, every facet. Ben and Cy: a household that shares an inbox. The last
# one has a record and nothing else, so every facet is missing at least once.
TABLES = """
create table unified.unified_individual (
    unified_individual_id varchar, first_name varchar, first_name_record varchar,
    last_name varchar, last_name_record varchar, birth_date date,
    birth_date_record varchar, person_name varchar, record_count bigint,
    is_known boolean, created_date timestamp);
create table unified.unified_contact_point_email (
    id varchar, unified_individual_id varchar, email_address varchar,
    normalised_email varchar, is_undeliverable boolean, records bigint, rank bigint,
    source_record_id varchar, last_modified_date timestamp);
create table unified.unified_contact_point_phone (
    id varchar, unified_individual_id varchar, formatted_e164_phone_number varchar,
    phone_type_id varchar, records bigint, rank bigint, source_record_id varchar,
    last_modified_date timestamp);
create table unified.unified_contact_point_address (
    id varchar, unified_individual_id varchar, address_line1 varchar,
    city_name varchar, postal_code_text varchar, state_province_name varchar,
    country_id varchar, records bigint, rank bigint, source_record_id varchar,
    last_modified_date timestamp);
create table dmo.individual (
    id varchar, person_name varchar, data_source_id varchar,
    last_modified_date timestamp);
create table dmo.contact_point_email (
    id varchar, party_id varchar, email_address varchar, normalised_email varchar);
create table dmo.contact_point_phone (
    id varchar, party_id varchar, formatted_e164_phone_number varchar);
create table dmo.contact_point_consent (
    id varchar, contact_point_type_id varchar, contact_point_value varchar,
    party_id varchar, data_use_purpose_id varchar, engagement_channel_type_id varchar,
    consent_status_id varchar, consent_captured_date_time timestamp,
    consent_captured_source_name varchar,
    double_consent_capture_date_time timestamp, effective_from_date timestamp,
    effective_to_date timestamp, source_record_id varchar);
create table dmo.sales_order (
    id varchar, order_number varchar, sold_to_customer_id varchar,
    purchase_order_date timestamp, sales_order_status_id varchar,
    currency_code varchar, net_amount decimal(18,2));
create table dmo."case" (
    id varchar, case_number varchar, individual_id varchar, subject varchar,
    opened_date timestamp, closed_date timestamp, is_open boolean);
create table insights.lifetime_value (
    unified_individual_id varchar, lifetime_value decimal(18,2),
    first_order_date date, customer_tenure_days bigint,
    lifetime_value_by_currency json);
create view insights.lifecycle_stage as
    select unified_individual_id, 'active' as lifecycle_stage
    from insights.lifetime_value;
create table insights.churn_risk (
    unified_individual_id varchar, churn_risk_tier varchar,
    days_since_last_order bigint, days_since_last_engagement bigint);
"""

ROWS = f"""
insert into unified.unified_individual values
    ('{ANN}', 'Ann', 'crm_contact:1', 'Müller', 'shop_customer:9', '1980-02-03',
     'crm_contact:1', 'Ann Müller', 2, true, '2020-01-01'),
    ('{BEN}', 'Ben', 'crm_contact:2', 'Ray', 'crm_contact:2', null, null,
     'Ben Ray', 1, true, '2021-01-01'),
    ('{CY}', 'Cy', 'crm_contact:3', 'Ray', 'crm_contact:3', null, null,
     'Cy Ray', 1, true, '2021-01-01'),
    ('{EMPTY}', null, null, null, null, null, null, null, 1, false, null);
insert into identity.unified_link_individual values
    ('{ANN}', 'crm_contact:1', 'exact', 1), ('{ANN}', 'shop_customer:9', 'exact', 1),
    ('{BEN}', 'crm_contact:2', 'exact', 1), ('{CY}', 'crm_contact:3', 'exact', 1),
    ('{EMPTY}', 'email_subscriber:4', 'exact', 1);
insert into identity.redirect values ('{OLD}', 'merged', ['{ANN}'], 1);
insert into dmo.individual values
    ('crm_contact:1', 'Ann Müller', 'crm', '2026-01-01'),
    ('shop_customer:9', 'A. Müller', 'shop', '2026-02-01'),
    ('crm_contact:2', 'Ben Ray', 'crm', '2026-01-01'),
    ('crm_contact:3', 'Cy Ray', 'crm', '2026-01-01'),
    ('email_subscriber:4', null, 'email', null);
insert into dmo.contact_point_email values
    ('1', 'crm_contact:1', 'ann.mueller@gmail.com', 'annmueller@gmail.com'),
    ('9', 'shop_customer:9', 'ann@work.example', 'ann@work.example'),
    ('2', 'crm_contact:2', 'ray@home.example', 'ray@home.example'),
    ('3', 'crm_contact:3', 'ray@home.example', 'ray@home.example');
insert into unified.unified_contact_point_email values
    ('e1', '{ANN}', 'ann@work.example', 'ann@work.example', false, 1, 2,
     'shop_customer:9', '2026-01-01'),
    ('e2', '{ANN}', 'ann.mueller@gmail.com', 'annmueller@gmail.com', false, 1, 1,
     'crm_contact:1', '2026-01-01'),
    ('e3', '{BEN}', 'ray@home.example', 'ray@home.example', true, 1, 1,
     'crm_contact:2', '2026-01-01'),
    ('e4', '{CY}', 'ray@home.example', 'ray@home.example', true, 1, 1,
     'crm_contact:3', '2026-01-01');
insert into dmo.contact_point_phone values
    ('1', 'crm_contact:1', '+493012345678'), ('x', 'shop_customer:9', null);
insert into unified.unified_contact_point_phone values
    ('p1', '{ANN}', '+493012345678', 'mobile', 1, 1, 'crm_contact:1', '2026-01-01');
insert into unified.unified_contact_point_address values
    ('a1', '{ANN}', 'Hauptstr. 1', 'Berlin', '10115', null, 'DE', 1, 1,
     'crm_contact:1', '2026-01-01');
insert into dmo.contact_point_consent values
    ('consent_log:1', 'email', 'ann@work.example', null, 'marketing', 'email',
     'opt_in', '2026-03-01', 'shop_checkout', null, null, null, null),
    ('consent_log:2', 'email', 'ann@work.example', null, 'marketing', 'email',
     'opt_out', '2026-01-01', 'call_centre', null, null, null, null),
    ('consent_log:3', 'phone', '+493012345678', null, 'service', 'sms', 'opt_out',
     '2026-01-01', 'call_centre', null, null, null, null),
    ('consent_log:4', 'phone', '+493012345678', null, 'service', 'sms', 'opt_in',
     '2026-02-01', 'call_centre', null, null, null, null);
insert into dmo.sales_order
    select 'shop_order:' || i, '#' || i, 'shop_customer:9',
        timestamp '2026-01-01' + to_days(i::integer), 'fulfilled', 'EUR', 10.50
    from range(7) t(i);
insert into dmo."case" values
    ('support_ticket:5', '5', 'crm_contact:1', 'Where is it?', '2026-04-01', null,
     true);
insert into insights.lifetime_value values
    ('{ANN}', 73.50, '2026-01-01', 300, '{{"EUR": 73.50}}');
insert into insights.churn_risk values ('{ANN}', 'low', 3, 4);
insert into segments.membership values
    ('high_value', '{ANN}', '2026-05-01', null, 1),
    ('left_long_ago', '{ANN}', '2026-01-01', '2026-02-01', 1);
"""
