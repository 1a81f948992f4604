-- SAP: KNA1 with its central addresses (ADRC) and their e-mail addresses (ADR6).
-- Records from before 2018 are in capitals without diacritics, the old way.
create table debtor_text as
select d.rid, d.created_s, d.modified_s, d.c, d.r, d.p, d.r is not null as is_person,
  d.created_s < epoch(timestamp '2018-01-01')::bigint as old_style,
  if(n.name_swapped, n.first_name, n.last_name
    || coalesce(if(u(n.r, 'suffix') < 0.4, ' ' || n.suffix, ''), '')) as last_name,
  if(n.name_swapped, n.last_name, n.first_name) as first_name,
  n.sex, n.birth_date, n.email, n.phone, n.phone_kind, n.style, coalesce(n.country, k.country) as country,
  coalesce(n.street, k.street) as street,
  coalesce(n.house, k.house) as house, coalesce(n.number_first, k.number_first) as number_first,
  coalesce(n.city, k.city) as city, coalesce(n.postcode, k.postcode) as postcode,
  coalesce(n.region, k.region) as region, n.r is null or n.home_is_known as home_is_known,
  k.core || if(u(d.rid, 'legal form') < 0.85, ' ' || k.legal_form, '') as company_name, k.domain,
  phone(3 + below(d.rid, 'company style', 2), k.calling_code, k.trunk, k.area_code,
    k.landline) as company_phone
from debtor d left join record n on n.r = d.r left join company k on k.c = d.c
order by d.rid;

create macro sap(s, old_style) as if(old_style, upper(plain(s)), s);
create table debtor_version as from versions('debtor', 'debtor', true);
create view out_erp_kna1 as
select v.export as _export, v.seq as _seq, '100' as MANDT, debtor_number(d.rid) as KUNNR,
  if(is_person, 'KUNA', 'DEBI') as KTOKD,
  case when not is_person then 'Firma' when u(d.rid, 'form of address') < 0.25 then '' when sex = 'm'
    then 'Herr' else 'Frau' end as ANRED,
  sap(if(is_person, last_name, company_name), old_style)[:35] as NAME1,
  coalesce(sap(first_name, old_style)[:35], '') as NAME2,
  if(home_is_known and not v.before, sap(street_line(street, house, d.number_first), old_style)[:35],
    '') as STRAS,
  if(home_is_known, sap(city, old_style), '') as ORT01, if(home_is_known, postcode, '') as PSTLZ,
  if(home_is_known, region, '') as REGIO, country as LAND1,
  case when v.before then '' when not is_person then company_phone
    when phone_kind in ('landline', 'junk') then phone else '' end as TELF1,
  case when phone_kind in ('mobile', 'former') then phone else '' end as TELF2,
  if(is_person, '', country || lpad(below(d.rid, 'vat', 999999999)::varchar, 9, '0')) as STCEG,
  if(is_person and u(d.rid, 'tax') < 0.3, lpad(below(d.p, 'tax number', 99999999999)::varchar, 11, '0'),
    '') as STCD1,
  if(is_person, 'X', '') as STKZN, coalesce(strftime(birth_date, '%Y%m%d'), '00000000') as GBDAT,
  map {'de': 'D', 'en': 'E', 'fr': 'F', 'es': 'S', 'it': 'I', 'nl': 'N', 'sv': 'V', 'pl': 'L', 'pt': 'P',
    'ja': 'J'}[y.locale[:2]] as SPRAS, lpad((20000 + d.rid)::varchar, 10, '0') as ADRNR,
  if(is_person, '', 'K' || lpad((d.c % 40)::varchar, 4, '0')) as KONZS,
  if(is_person, '', lpad((1 + below(d.c, 'industry', 9))::varchar, 4, '0')) as BRSCH,
  if(v.gone, 'X', '') as LOEVM, instant(d.created_s)::date as ERDAT, instant(v.at_s) as UPDAT
from debtor_version v join debtor_text d using (rid) join country y using (country);

create table address_version as from versions('debtor', 'address', false);
create view out_erp_adrc as
select v.export as _export, v.seq as _seq, '100' as CLIENT,
  lpad((20000 + d.rid)::varchar, 10, '0') as ADDRNUMBER,
  sap(if(is_person, last_name, company_name), old_style)[:40] as NAME1,
  coalesce(sap(first_name, old_style)[:40], '') as NAME2,
  -- Until 2015 the house number stood inside the street.
  case when not home_is_known then ''
    when year(instant(d.created_s)) < 2015 then sap(street_line(street, house, number_first), true)
    else sap(trim(street), old_style) end as STREET,
  if(home_is_known and year(instant(d.created_s)) >= 2015, house::varchar, '') as HOUSE_NUM1,
  if(home_is_known, sap(city, old_style), '') as CITY1,
  if(home_is_known and not v.before, postcode, '') as POST_CODE1,
  if(home_is_known, region, '') as REGION, country as COUNTRY,
  case when not is_person then company_phone when phone_kind in ('landline', 'junk') then phone
    else '' end as TEL_NUMBER,
  instant(v.at_s) as UPDAT
from address_version v join debtor_text d using (rid);

create table debtor_mail as
select row_number() over (order by d.rid, part) as rid, d.rid as debtor, d.created_s, d.modified_s, part,
  address
from (
  select rid, created_s, modified_s, 1 as part, email as address from debtor_text where is_person
  union all
  select rid, created_s, modified_s, 1, if(u(rid, 'inbox') < 0.5, 'info@', 'invoice@') || domain
    from debtor_text where not is_person
  union all
  select rid, created_s, modified_s, 2, 'orders@' || domain from debtor_text where not is_person
    and u(rid, 'two inboxes') < 0.2
) d where address is not null order by 1;
create table debtor_mail_version as from versions('debtor_mail', 'inbox', false);
create view out_erp_adr6 as
select v.export as _export, v.seq as _seq, '100' as CLIENT,
  lpad((20000 + m.debtor)::varchar, 10, '0') as ADDRNUMBER,
  lpad(m.part::varchar, 3, '0') as CONSNUMBER, if(m.part = 1, 'X', '') as FLGDEFAULT,
  if(u(m.rid, 'capitals') < 0.5, upper(m.address), m.address) as SMTP_ADDR, instant(v.at_s) as UPDAT
from debtor_mail_version v join debtor_mail m using (rid);
