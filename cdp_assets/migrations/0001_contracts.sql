-- The tables that stages hand over to each other. dlo tables are created from the
-- stream declarations; map, dmo, unified and insights belong to dbt.
-- Tables rewritten by delete and insert carry no primary key: DuckDB checks its index
-- before the transaction ends, so the same key deleted and inserted again is refused.
create schema if not exists dlo;
create schema if not exists reference;
create schema if not exists map;
create schema if not exists dmo;
create schema if not exists identity;
create schema if not exists unified;
create schema if not exists insights;
create schema if not exists segments;
create schema if not exists article;

create table ops.load (
    load_seq bigint primary key,
    stream varchar not null,
    started_at timestamp not null,
    finished_at timestamp not null,
    rows_in bigint not null,
    inserted bigint not null,
    updated bigint not null,
    deleted bigint not null,
    unchanged bigint not null,
    superseded bigint not null,
    quarantined bigint not null,
    files bigint not null,
    unreadable_files bigint not null,
    notes varchar[] not null
);

create table ops.landed_file (
    stream varchar not null,
    content_sha256 varchar not null,
    file varchar not null,
    bytes bigint not null,
    rows bigint not null,
    load_seq bigint not null,
    outcome varchar not null,
    reason varchar,
    primary key (stream, content_sha256)
);

create table ops.quarantine (
    stream varchar not null,
    file varchar not null,
    line bigint,
    field varchar,
    reason varchar not null,
    record varchar,
    load_seq bigint not null,
    replayed_load_seq bigint
);

create table reference.phone (
    raw varchar not null,
    country_hint varchar not null,
    e164 varchar,
    country varchar,
    reason varchar,
    normaliser_version varchar not null
);

create table identity.match_model (
    model_version varchar primary key,
    settings json not null,
    created_at timestamp not null,
    note varchar
);

create table identity.node (
    record varchar not null,
    node_id bigint not null,
    object varchar not null,
    feature_hash varchar not null,
    content_hash varchar not null,
    data_source_id varchar not null,
    first_name varchar,
    first_name_canonical varchar,
    middle_name varchar,
    last_name varchar,
    name_suffix varchar,
    full_name varchar,
    gender varchar,
    birth_date date,
    emails varchar[],
    phones varchar[],
    identifiers varchar[],
    streets varchar[],
    cities varchar[],
    postal_codes varchar[],
    countries varchar[],
    website_domain varchar,
    as_written struct(
        first_name varchar, middle_name varchar, last_name varchar,
        full_name varchar, emails varchar[], streets varchar[], cities varchar[]
    )
);

create table identity.evidence (
    node_l bigint not null,
    node_r bigint not null,
    kind varchar not null,
    rule varchar not null,
    match_weight double,
    levels integer[],
    model_version varchar,
    object varchar not null
);

create table identity.unified_link_individual (
    unified_individual_id varchar not null,
    record varchar not null,
    tier varchar not null,
    linked_at_run bigint not null
);

create table identity.unified_link_account (
    unified_account_id varchar not null,
    record varchar not null,
    tier varchar not null,
    linked_at_run bigint not null
);

create table identity.registry (
    unified_id varchar primary key,
    object varchar not null,
    born_run bigint not null,
    minted_from varchar not null,
    retired_run bigint
);

create table identity.redirect (
    retired_id varchar not null,
    kind varchar not null,
    live_ids varchar[] not null,
    run bigint not null
);

create sequence identity.change_seq;

create table identity.change (
    seq bigint primary key default nextval('identity.change_seq'),
    unified_individual_id varchar not null,
    kind varchar not null,
    run bigint not null
);

create table identity.shared_identifier (
    object varchar not null,
    field varchar not null,
    value varchar not null,
    records bigint not null,
    last_names bigint not null
);

create table identity.decision (
    decision bigint primary key,
    kind varchar not null,
    record_l varchar not null,
    record_r varchar not null,
    decided_by varchar not null,
    decided_at timestamp not null,
    reason varchar,
    undone_at timestamp
);

create table identity.labelled_pair (
    record_l varchar not null,
    record_r varchar not null,
    is_match boolean not null,
    origin varchar not null,
    labelled_at timestamp not null,
    primary key (record_l, record_r)
);

create table identity.run (
    run bigint not null,
    object varchar not null,
    started_at timestamp not null,
    finished_at timestamp,
    as_of timestamp not null,
    ruleset_version varchar,
    model_version varchar,
    status varchar not null,
    records bigint,
    people bigint,
    largest_person bigint,
    unmatched_records bigint,
    evidence_rows bigint,
    created bigint,
    changed bigint,
    retired bigint,
    gate varchar,
    note varchar,
    primary key (run, object)
);

create table identity.reconciliation_rule (
    object varchar not null,
    field varchar not null,
    method varchar not null,
    source varchar,
    priority integer
);

create table segments.membership (
    segment varchar not null,
    unified_individual_id varchar not null,
    entered_at timestamp not null,
    left_at timestamp,
    entered_run bigint not null
);

create table ops.run (
    run bigint primary key,
    dagster_run_id varchar,
    started_at timestamp not null,
    as_of timestamp not null
);

create table ops.mark (
    consumer varchar primary key,
    seq bigint not null,
    run bigint not null
);
