-- Which live record is which person, and what makes the record hard. Records that the
-- source deleted are in neither: a pipeline has nothing to match there.
create table true_record as
select 'crm_contact' as source, key as record_id, r, p from contact
where rid not in (select rid from contact_version where gone)
union all select 'crm_lead', key, r, p from lead where rid not in (select rid from lead_version where gone)
union all select 'shop_customer', customer_id(rid)::varchar, r, p from customer
union all select 'shop_order', order_id(o.rid)::varchar, o.r, o.p from shop_order o
  where o.guest is not null
union all select 'erp_kna1', '100|' || debtor_number(rid), r, p from debtor
where r is not null and rid not in (select rid from debtor_version where gone)
union all select 'support_user', user_id(rid)::varchar, r, p from requester
union all select 'email_subscriber', subscriber_key(rid), r, p from subscription;

create view out_truth as
select source, record_id, 'person-' || p as entity_id from true_record order by source, record_id;

create view out_traps as
with trapped as (
  select t.source || ':' || t.record_id as record, unnest([
    if(n.kind = 'twins' and n.role < 2, 'twins', null), if(n.kind = 'jr_sr' and n.role < 2, 'jr_sr', null),
    if(n.size > 1, 'household', null), if(n.mail_kind = 'family', 'shared_inbox', null),
    if(n.size > 1 and n.phone_kind = 'landline', 'shared_phone', null),
    if(n.has_recycled_number, 'recycled_phone', null), if(n.phone_kind = 'former', 'former_phone', null),
    if(n.under_maiden_name, 'maiden_name', null),
    if(n.mail_kind = 'junk' or n.phone_kind = 'junk' or n.name_kind = 'junk', 'junk_value', null),
    if(n.name_kind = 'nickname', 'nickname', null), if(n.name_kind = 'initial', 'initial', null),
    if(n.name_kind in ('typo first', 'typo last') or n.mail_typo, 'typo', null),
    if(n.date_swapped, 'swapped_date', null), if(n.gmail_variant, 'gmail_variant', null),
    if(n.at_former_home, 'mover', null), if(n.job_changer, 'job_changer', null),
    if(n.stream = 'shop_guest', 'guest', null),
    if(n.copy = 1 and n.stream <> 'shop_guest', 'second_record', null),
    if(n.name_swapped, 'name_order', null), if(n.one_surname, 'one_surname', null),
    if(n.plain_letters, 'no_diacritics', null),
    if(n.email is null and n.e164 is null, 'no_contact_point', null)
  ]) as trap
  from true_record t join record n on n.r = t.r
)
select record, trap from trapped where trap is not null order by record, trap;
