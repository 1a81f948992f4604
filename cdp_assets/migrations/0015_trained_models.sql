-- What a trained version was made of and with, so that it can be judged and made again.
alter table identity.match_model add column matches_per_record double;
alter table identity.match_model add column trained_on_records bigint;
alter table identity.match_model add column caps json;
alter table identity.match_model add column thresholds json;
alter table identity.match_model add column report json;
