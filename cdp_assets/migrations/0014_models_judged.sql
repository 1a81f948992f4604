-- Pairs drawn at random for people to judge by: how many pairs each stood for when drawn.
create table identity.clerical_sample (
    record_l varchar not null,
    record_r varchar not null,
    stratum varchar not null,
    stands_for double not null,
    seed varchar not null,
    drawn_at timestamp not null,
    primary key (record_l, record_r)
);

-- What a trained version was made of and with, so that it can be judged and made again.
alter table identity.match_model add column matches_per_record double;
alter table identity.match_model add column trained_on_records bigint;
alter table identity.match_model add column caps json;
alter table identity.match_model add column thresholds json;
alter table identity.match_model add column report json;
