-- One table per system, numbered in the order in which its records were created:
-- the keys follow that order, as they do in the real systems, and so do the files.
create table contact as
select row_number() over (order by created_s, r) as rid, salesforce_id('003', 46656 + rid) as key, *
from record where stream = 'crm_contact' order by rid;
create table lead as
select row_number() over (order by created_s, r) as rid, salesforce_id('00Q', 46656 + rid) as key, *
from record where stream = 'crm_lead' order by rid;
create table customer as
select row_number() over (order by created_s, r) as rid, * from record
  where stream = 'shop_customer' order by rid;
create table guest as
select row_number() over (order by created_s, r) as rid, * from record
  where stream = 'shop_guest' order by rid;
create table requester as
select row_number() over (order by created_s, r) as rid, * from record
  where stream = 'support_user' order by rid;
create table subscription as
select row_number() over (order by created_s, r) as rid, * from record
  where stream = 'email_subscriber' order by rid;

-- SAP holds people and companies in one number range, some of them very old.
create table debtor as
with everyone as (
  select r as i, r, null::bigint as c, created_s - 86400 * below(r, 'older', 3200) as created_s, modified_s
  from record where stream = 'erp_kna1'
  union all
  select -1 - c, null, c, getvariable('as_of') - 86400 * (400 + below(c, 'debtor since', 4200)),
    getvariable('as_of') - 3600 - below(c, 'debtor changed', 86400 * 390)
  from company where in_erp
)
select row_number() over (order by e.created_s, e.i) as rid, e.*, n.p
from everyone e left join record n on n.r = e.r order by rid;

create table account as
with everyone as (
  select c, 0 as copy from company where in_crm
  union all select c, 1 from company where in_crm and crm_twice
), dated as (
  select *, getvariable('as_of') - 86400 * (30 + below(c * 2 + copy, 'account since', 2200)) as created_s
  from everyone
)
select row_number() over (order by created_s, c, copy) as rid, salesforce_id('001', 46656 + rid) as key, *,
  created_s + floor((getvariable('as_of') - 3600 - created_s) * u(c * 2 + copy,
    'account changed'))::bigint as modified_s
from dated order by rid;
