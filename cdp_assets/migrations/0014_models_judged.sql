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
