-- SAP sales documents: orders (TA) and the returns (RE) that credit them.
create table document as
with wanted as (
  select d.rid as debtor, d.c, d.created_s as since, coalesce(n.country, k.country) as country,
    unnest(range(case when u(d.rid, 'sales') < 0.25 then 0
      else least(50, 1 + floor(-ln(1 - u(d.rid, 'documents'))
      * case when d.c is not null then 5 when n.high_value then 3.5 else 0.9 end))::bigint end)) as j,
    coalesce(n.drifting, u(d.rid, 'drift') < 0.12) as drifting
  from debtor d left join record n on n.r = d.r left join company k on k.c = d.c
), timed as (
  select debtor * 64 + j as i, w.*, greatest(since + 600, getvariable('as_of') - 86400 * 714) as lo
    from wanted w
), ordered as (
  select i, debtor, c, country, lo + floor(u(i, 'document') * greatest(3600,
      getvariable('as_of') - 10800 - if(drifting, 86400 * 125, 0) - lo))::bigint as created_s,
    'TA' as kind, null::bigint as credits
  from timed
), returned as (
  select -i - 1, debtor, c, country, created_s + 86400 * 3 + below(i, 'returned', 86400 * 20), 'RE', i
  from ordered where u(i, 'returns') < 0.07 and u(i, 'rejected') > 0.035
    and created_s < getvariable('as_of') - 86400 * 25
), every as (
  select * from ordered union all select * from returned
)
select row_number() over (order by e.created_s, e.i) as rid, e.*, y.vkorg, y.currency, q.rate, q.digits,
  least(e.created_s + 900 + below(e.i, 'processed', 86400 * 8), getvariable('as_of') - 60) as modified_s,
  e.kind = 'TA' and u(e.i, 'rejected') < 0.035 as rejected
from every e join country y using (country) join currency q using (currency) order by rid;

create table document_item as
with counted as (
  select *, coalesce(credits, i) as basis from document
), itemed as (
  -- A return takes back the first item of the order it credits.
  select c.*, unnest(range(if(kind = 'RE', 1, 1 + floor(5 * pow(u(basis, 'items'), 1.8))::bigint))) as n
    from counted c
), priced as (
  select t.*, a.idx as article, a.name, a.category,
    if(t.c is null, 1 + skewed(basis * 8 + n, 'quantity', 4, 3),
      2 + skewed(basis * 8 + n, 'quantity', 40, 2)) as quantity,
    money(a.price * rate * if(t.c is null, 1, 0.8), digits) as price
  from itemed t join article a on a.idx = skewed(t.basis * 8 + t.n, 'article', 200, 1.2)
)
select row_number() over (order by rid, n) as item, rid as document, created_s, modified_s, n, article, name,
  category,
  if(kind = 'RE', 1 + skewed(i, 'returned quantity', quantity, 2), quantity) as quantity, price, currency,
  rejected or (kind = 'TA' and n > 0 and u(i * 8 + n, 'item rejected') < 0.02) as rejected
from priced order by item;
create table document_total as
select document as rid, sum(if(rejected, 0, price * quantity))::decimal(14, 2) as net,
  bool_and(rejected) as all_rejected, bool_or(rejected) as some_rejected
from document_item group by document;

create macro document_number(n, kind) as if(kind = 'RE', '006', '001') || lpad(n::varchar, 7, '0');
create table document_version as from versions('document', 'document', false);
create view out_erp_vbak as
select v.export as _export, v.seq as _seq, '100' as MANDT, document_number(d.rid, d.kind) as VBELN,
  instant(d.created_s)::date as ERDAT, instant(d.created_s)::date as AUDAT, d.kind as AUART,
  debtor_number(d.debtor) as KUNNR, t.net as NETWR, d.currency as WAERK, d.vkorg as VKORG,
  if(d.c is null, '10', '20') as VTWEG, if(d.c is null, '', 'PO-'
    || (10000 + below(d.i, 'po', 89999))) as BSTNK,
  if(o.rid is null, '', document_number(o.rid, 'TA')) as VGBEL,
  case when v.before then '' when t.all_rejected then 'C' when t.some_rejected then 'B'
    else 'A' end as ABSTK,
  case when v.before then 'A' when d.created_s > getvariable('as_of') - 86400 * 6 then 'B'
    else 'C' end as GBSTK,
  instant(v.at_s) as UPD_TMSTMP
from document_version v join document d using (rid) join document_total t using (rid)
left join document o on o.i = d.credits;

create view document_item_row as select item as rid, created_s, modified_s from document_item;
create table document_item_version as from versions('document_item_row', 'item', false);
create view out_erp_vbap as
select v.export as _export, v.seq as _seq, '100' as MANDT, document_number(d.rid, d.kind) as VBELN,
  lpad((10 + 10 * i.n)::varchar, 6, '0') as POSNR, 'M-' || lpad(i.article::varchar, 6, '0') as MATNR,
  -- Article names were shortened half a year before the end.
  if(i.created_s < getvariable('as_of') - 86400 * 180, upper(i.name) || ' OLD LABEL', i.name) as ARKTX,
  upper(i.category)[:9] as MATKL, i.quantity as KWMENG, i.price as NETPR,
  (i.price * i.quantity)::decimal(14, 2) as NETWR,
  i.currency as WAERK, if(i.rejected and not v.before, '50', '') as ABGRU, instant(v.at_s) as UPD_TMSTMP
from document_item_version v join document_item i on i.item = v.rid join document d on d.rid = i.document;
