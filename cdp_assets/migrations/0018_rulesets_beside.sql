-- Rulesets beside the published one: whose person each record is by them, and how they
-- compare. Nothing downstream reads them.
create table identity.ruleset_link (
    ruleset varchar not null,
    object varchar not null,
    record varchar not null,
    unified_id varchar not null
);

-- One row per ruleset and object; the published one is among them, under `published`.
create table identity.ruleset_standing (
    ruleset varchar not null,
    object varchar not null,
    ruleset_version varchar,
    model_version varchar,
    resolved_at timestamp not null,
    as_of timestamp not null,
    held_by varchar,
    records bigint not null,
    people bigint not null,
    largest bigint not null,
    unmatched bigint not null,
    merges bigint,
    splits bigint,
    precision double,
    recall double,
    f1 double,
    primary key (ruleset, object)
);
