-- Opt-outs that were seen, so that they outlive the record that carried them: one deleted,
-- expired, or sent again without the address it was about.
create schema if not exists governance;

create table governance.opt_out (
    id varchar not null,
    contact_point_type varchar not null,
    -- The form in which contact points are compared.
    contact_point_key varchar not null,
    source_record_id varchar,
    purpose varchar not null,
    channel varchar not null,
    source varchar,
    captured_at timestamp,
    effective_from timestamp,
    effective_to timestamp
);
