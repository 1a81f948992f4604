-- Salesforce: Account, Contact and Lead as the Bulk API exports them.
create table account_version as from versions('account', 'account', true);
create view out_crm_account as
select v.export as _export, v.seq as _seq, a.key as Id,
  k.core || case when a.copy = 1 or u(a.rid, 'form typed') < 0.35 then ''
    else ' ' || k.legal_form end as Name,
  if(u(a.rid, 'number typed') < 0.6, debtor_number(d.rid), null) as AccountNumber,
  mostly(a.c, 'type', ['Customer - Direct', 'Prospect', 'Customer - Channel', 'Partner'], 1.8) as Type,
  if(v.before, null, one_of(a.c, 'industry', ['Manufacturing', 'Construction', 'Retail', 'Technology',
    'Healthcare', 'Transportation',
    'Food & Beverage', 'Energy', 'Consulting'])) as Industry,
  floor(5 + 40 * exp(3.2 * u(a.c, 'staff')))::bigint as NumberOfEmployees,
  (floor(3 + 60 * exp(4 * u(a.c, 'revenue'))) * 10000)::bigint as AnnualRevenue,
  case below(a.rid, 'site', 4) when 0 then 'https://www.' when 1 then 'www.' when 2 then 'http://'
    else '' end || k.domain as Website,
  phone(below(a.rid, 'phone style', 4), k.calling_code, k.trunk, k.area_code, k.landline) as Phone,
  if(k.number_first, k.house || ' ' || k.street, k.street || ' ' || k.house) as BillingStreet,
  k.city as BillingCity, k.region as BillingState, k.postcode as BillingPostalCode,
  mostly(a.rid, 'country name', y.names, 1.6) as BillingCountry,
  if(a.rid > 10 and u(a.c, 'parent') < 0.05, m.key, null) as ParentId,
  crm_time(a.created_s) as CreatedDate,
  crm_time(v.at_s - below(a.rid, 'integration', 50)) as LastModifiedDate,
  crm_time(v.at_s) as SystemModstamp, v.gone as IsDeleted
from account_version v join account a using (rid) join company k using (c)
join country y using (country)
left join debtor d on d.c = a.c
left join account m on m.rid = 1 + below(a.c, 'parent account', 8);

create table contact_version as from versions('contact', 'contact', true);
create table debtor_of as select p, min(rid) as debtor from debtor where p is not null group by p;
create table account_of as select c, min(key) as account from account where copy = 0 group by c;
create view out_crm_contact as
select v.export as _export, v.seq as _seq, n.key as Id, a.account as AccountId,
  case when u(n.p, 'doctor') < 0.05 then 'Dr.' when u(n.r, 'salutation') < 0.3 then null
    when n.country in ('DE', 'AT', 'CH') then if(n.sex = 'm', 'Herr', 'Frau')
    else if(n.sex = 'm', 'Mr.', 'Ms.') end as Salutation,
  if(n.name_swapped, n.last_name, n.first_name) as FirstName,
  if(u(n.r, 'middle') < 0.5, n.middle_name, null) as MiddleName,
  if(n.name_swapped, coalesce(n.first_name, n.last_name), n.last_name) as LastName,
  if(u(n.r, 'suffix') < 0.75, n.suffix, null) as Suffix,
  case when n.c is null or v.before then null else one_of(n.r, 'title',
    ['Purchasing Manager', 'Managing Director', 'Engineer',
    'Head of IT', 'Accountant', 'Sales Manager', 'Assistant', 'Plant Manager', 'Consultant'])
    end as Title,
  if(n.c is null, null, one_of(n.r, 'title', ['Purchasing', 'Management', 'Engineering', 'IT', 'Finance',
    'Sales']))
    as Department,
  case when v.before and u(n.r, 'mail later') < 0.3 then null
    when u(n.r, 'mail case') < 0.06 then upper(n.email)
    when u(n.r, 'mail case') < 0.14 then upper(n.email[1]) || n.email[2:]
    when u(n.r, 'mail case') < 0.17 then ' ' || n.email || ' ' else n.email end as Email,
  case when v.before then null when n.phone_kind in ('landline', 'junk') then n.phone
    when n.mail_kind = 'work' and u(n.r, 'company line') < 0.4
      then phone(n.style, k.calling_code, k.trunk, k.area_code, k.landline)
    when n.has_landline and u(n.r, 'both numbers') < 0.15
      then phone(n.style, n.calling_code, n.trunk, n.home_area, n.home_number) end as Phone,
  case when n.phone_kind in ('mobile', 'former') then n.phone
    when n.phone_kind = 'landline' and u(n.r, 'both numbers') < 0.2
      then phone(n.style, n.calling_code, n.trunk, n.mobile_prefix, n.mobile_body) end as MobilePhone,
  if(n.home_is_known, street_line(n.street, n.house, n.number_first)
    || coalesce(chr(10) || n.flat, ''), null) as MailingStreet,
  if(n.home_is_known, if(u(n.r, 'junk city') < 0.006, 'unknown', n.city), null) as MailingCity,
  if(n.home_is_known and n.country in ('US', 'DE', 'IT'), n.region, null) as MailingState,
  if(n.home_is_known and not v.before, n.postcode, null) as MailingPostalCode,
  if(u(n.r, 'country typed') < 0.92, mostly(n.r, 'country name', y.names, 1.6), null) as MailingCountry,
  n.birth_date as Birthdate,
  one_of(n.r, 'lead source', ['Web', 'Phone Inquiry', 'Partner Referral', 'Trade Show', 'Purchased List',
    'Other'])
    as LeadSource,
  if(u(n.r, 'number known') < 0.5, case when u(n.r, 'number typed') < 0.15 then (100000 + d.debtor)::varchar
    else debtor_number(d.debtor) end, null) as Customer_Number__c,
  u(n.p, 'consent') between 0.72 and 0.80 as HasOptedOutOfEmail,
  crm_time(n.created_s) as CreatedDate,
  crm_time(greatest(v.at_s - below(n.rid, 'integration', 4000), n.created_s)) as LastModifiedDate,
  crm_time(v.at_s) as SystemModstamp, v.gone as IsDeleted
from contact_version v join contact n using (rid) join country y on y.country = n.country
left join company k on k.c = n.c
left join account_of a on a.c = n.c
left join debtor_of d on d.p = n.p;

create table lead_version as from versions('lead', 'lead', true);
create table contact_of as select p, min(key) as contact from contact group by p;
create view out_crm_lead as
select v.export as _export, v.seq as _seq, n.key as Id,
  if(u(n.r, 'salutation') < 0.5, null, if(n.sex = 'm', 'Mr.', 'Ms.')) as Salutation,
  if(n.name_swapped, n.last_name, n.first_name) as FirstName,
  case when n.name_swapped then coalesce(n.first_name, n.last_name)
    when u(n.r, 'no last name') < 0.05 then n.last_name[1]
    when u(n.r, 'small letters') < 0.12 then lower(n.last_name) else n.last_name end as LastName,
  coalesce(k.core, if(u(n.r, 'company') < 0.5, 'n/a', null)) as Company,
  if(v.before, null, one_of(n.r, 'title', ['Owner', 'Buyer', 'Engineer', 'CEO'])) as Title,
  n.email as Email, n.phone as Phone,
  if(n.home_is_known, street_line(n.street, n.house, n.number_first), null) as Street,
  if(n.home_is_known, n.city, null) as City, null::varchar as State,
  if(n.home_is_known, n.postcode, null) as PostalCode, one_of(n.r, 'country name', y.names) as Country,
  one_of(n.r, 'lead source', ['Web', 'Webinar', 'Trade Show', 'Newsletter']) as LeadSource,
  case when v.before then 'New' when u(n.r, 'converted') < 0.5 and o.contact is not null
    then 'Closed - Converted'
    else one_of(n.r, 'status', ['Open', 'Working', 'Closed - Not Converted', 'New']) end as Status,
  not v.before and u(n.r, 'converted') < 0.5 and o.contact is not null as IsConverted,
  if(not v.before and u(n.r, 'converted') < 0.5, o.contact, null) as ConvertedContactId,
  if(not v.before and u(n.r, 'converted') < 0.5 and o.contact is not null, a.account,
    null) as ConvertedAccountId,
  crm_time(n.created_s) as CreatedDate,
  crm_time(greatest(v.at_s - below(n.rid, 'integration', 4000), n.created_s)) as LastModifiedDate,
  crm_time(v.at_s) as SystemModstamp, v.gone as IsDeleted
from lead_version v join lead n using (rid) join country y on y.country = n.country
left join company k on k.c = n.c
left join account_of a on a.c = n.c
left join contact_of o on o.p = n.p;
