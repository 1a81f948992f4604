-- The floor's SQL: from the sources' records to people, orders and two insights.
-- Each comment of the form `-- schema.table` begins the statements of one table.
-- Variables: as_of, the instant taken as now.
create temp macro tidy(x) as nullif(trim(regexp_replace(
    nfc_normalize(x), '[\s\p{Z}\x{200B}\x{FEFF}]+', ' ', 'g')), '');
create temp macro fold(x) as translate(
    replace(replace(replace(lower(strip_accents(x)), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
    'øłđðıþ', 'olddit');
create temp macro is_junk(x) as regexp_full_match(x, '(?i)(n/a|n\.a\.|none|unknown|unbekannt|inconnu|desconocido|test|testing|not provided|no ?name|anonymous|guest|tbd|x{1,3}|asdf|first ?name|last ?name)');
create temp macro person_word(x) as case
    when is_junk(x) or not regexp_matches(x, '\p{L}') then null
    when x = upper(x) and regexp_matches(x, '\p{Lu}\p{Lu}') then array_to_string(
        list_transform(regexp_extract_all(x, '[\p{L}\p{M}]+|[^\p{L}\p{M}]+'),
            lambda word: upper(word[1]) || lower(word[2:])), '')
    else x end;
create temp macro cut_suffix(x) as
    regexp_replace(x, '(?i)[\s,]+(jr|sr|jnr|snr|ii|iii|iv)\.?\s*$', '');
create temp macro suffix_at_end(x) as
    regexp_extract(x, '(?i)[\s,]+(jr|sr|jnr|snr|ii|iii|iv)\.?\s*$', 1);
create temp macro suffix(x) as case x
    when 'JR' then 'Jr' when 'JUNIOR' then 'Jr' when 'JNR' then 'Jr'
    when 'SR' then 'Sr' when 'SENIOR' then 'Sr' when 'SNR' then 'Sr'
    when 'II' then 'II' when 'III' then 'III' when 'IV' then 'IV' when 'V' then 'V' end;
create temp macro letters(x) as upper(regexp_replace(x, '[^\p{L}]', '', 'g'));
create temp macro said(document, path) as nullif(trim(document ->> path), '');
create temp macro family_first(x) as
    strpos(x, ',') > 0 or regexp_matches(x, ' \p{L}\.?$');

-- dmo.individual
create table dmo.individual as
with shopper as (
    select *, said(shipping_address, '$.first_name') as first_name,
        said(shipping_address, '$.last_name') as last_name
    from dlo.shop_order
    where not _is_deleted and test is not true and said(customer, '$.id') is null
), requester as (
    select *, case when strpos(name, '@') = 0
        and name is distinct from split_part(lower(email), '@', 1)
        and name is distinct from split_part(lower(email), '+', 1)
        then person_word(tidy(name)) end as whole
    from dlo.support_user where not _is_deleted and role = 'end-user'
), typed as (
    select _record_id, 'crm_contact' as object, 'crm_account:' || AccountId as account,
        null as language, FirstName as first, MiddleName as middle, LastName as last,
        Suffix as suffix, Salutation as salutation, Title as title, Birthdate as birth,
        CreatedDate as created, _modified_at, true as is_parted
    from dlo.crm_contact where not _is_deleted
    union all
    select _record_id, 'crm_lead', 'crm_account:' || ConvertedAccountId, null, FirstName,
        null, LastName, null, Salutation, Title, null, CreatedDate, _modified_at, true
    from dlo.crm_lead where not _is_deleted
    union all
    select _record_id, 'shop_customer', null, null, first_name, null, last_name, null,
        null, null, null, created_at, _modified_at, true
    from dlo.shop_customer where not _is_deleted
    union all
    select _record_id, 'shop_order', null, null, first_name, null, last_name, null, null,
        null, null, created_at, _modified_at, true
    from shopper
    union all
    select _record_id, 'erp_kna1', null, case when length(SPRAS) = 2 then lower(SPRAS)
            else map {'D': 'de', 'E': 'en', 'F': 'fr', 'S': 'es', 'I': 'it', 'N': 'nl',
                'P': 'pt', 'L': 'pl', 'K': 'da', 'V': 'sv', 'O': 'no', 'U': 'fi',
                'C': 'cs', 'H': 'hu', 'R': 'ru', 'T': 'tr', 'G': 'el', 'J': 'ja',
                '1': 'zh', '3': 'ko', 'A': 'ar'}[SPRAS] end,
        NAME2, null, NAME1, null, ANRED, null, try_strptime(GBDAT, '%Y%m%d')::date,
        ERDAT, _modified_at, true
    from dlo.erp_kna1 where not _is_deleted and STKZN = 'X'
    union all
    select _record_id, 'support_user', null, locale, case when family_first(whole)
            then nullif(trim(regexp_extract(whole, '(,.*| \p{L}\.?)$'), ', '), '')
            else split_part(whole, ' ', 1) end,
        null, case when family_first(whole)
            then nullif(trim(regexp_replace(whole, '(,.*| \p{L}\.?)$', '')), '')
            when strpos(whole, ' ') > 0 then substr(whole, strpos(whole, ' ') + 1) end,
        null, null, null, null, created_at, _modified_at, false
    from requester
    union all
    select _record_id, 'email_subscriber', null, Locale, FirstName, null, LastName, null,
        null, null, null, DateJoined, _modified_at, true
    from dlo.email_subscriber where not _is_deleted
), tidied as (
    select * replace (
        case when is_parted then tidy(first) else first end as first,
        tidy(middle) as middle,
        case when is_parted then tidy(cut_suffix(last)) else cut_suffix(last) end as last,
        tidy(salutation) as salutation, tidy(title) as title,
        letters(suffix) as suffix), letters(suffix_at_end(last)) as ending
    from typed
), cleaned as (
    select _record_id, object, account, birth, created, _modified_at, salutation, title,
        case when is_parted then person_word(first) else first end as first_name,
        person_word(middle) as middle_name,
        case when is_parted then person_word(last) else last end as last_name,
        coalesce(suffix(suffix), suffix(ending)) as name_suffix,
        nullif(lower(regexp_extract(language, '^\s*([A-Za-z]{2})($|[-_])', 1)), '')
            as language
    from tidied
)
select _record_id as id, first_name, middle_name, last_name, name_suffix, salutation,
    nullif(concat_ws(' ', first_name, middle_name, last_name, name_suffix), '')
        as person_name,
    case when birth > date '1900-01-01' and birth <= _modified_at::date then birth end
        as birth_date,
    case when letters(salutation) in ('MR', 'HERR', 'MONSIEUR', 'M') then 'male'
        when letters(salutation) in ('MS', 'MRS', 'MISS', 'FRAU', 'MADAME', 'MME')
        then 'female' end as gender_id,
    case when not is_junk(title) and regexp_matches(title, '[\p{L}\p{N}]') then title end
        as title_name,
    account as primary_account_id, language as primary_language_id,
    false as is_anonymous, split_part(object, '_', 1) as data_source_id,
    object as data_source_object_id, _record_id as source_record_id,
    created::timestamp as created_date, _modified_at as last_modified_date
from cleaned;

-- dmo.contact_point_email
create table dmo.contact_point_email as
with written as (
    select _record_id, 'crm_contact' as object, Email as text, CreatedDate as created,
        _modified_at, false as bounced
    from dlo.crm_contact where not _is_deleted
    union all
    select _record_id, 'crm_lead', Email, CreatedDate, _modified_at, false
    from dlo.crm_lead where not _is_deleted
    union all
    select _record_id, 'shop_customer', email, created_at, _modified_at, false
    from dlo.shop_customer where not _is_deleted
    union all
    select _record_id, 'shop_order', email, created_at, _modified_at, false
    from dlo.shop_order
    where not _is_deleted and test is not true and said(customer, '$.id') is null
    union all
    select k._record_id, 'erp_kna1', a.SMTP_ADDR, k.ERDAT,
        greatest(k._modified_at, a._modified_at), false
    from dlo.erp_kna1 k join (
        select * from dlo.erp_adr6 where not _is_deleted
        qualify 1 = row_number() over (partition by CLIENT, ADDRNUMBER
            order by FLGDEFAULT is distinct from 'X', CONSNUMBER)
    ) a on k.MANDT = a.CLIENT and k.ADRNR = a.ADDRNUMBER
    where not k._is_deleted and k.STKZN = 'X'
    union all
    select _record_id, 'support_user', email, created_at, _modified_at, false
    from dlo.support_user where not _is_deleted and role = 'end-user'
    union all
    select _record_id, 'email_subscriber', EmailAddress, DateJoined, _modified_at,
        coalesce(Status = 'Bounced', false)
    from dlo.email_subscriber where not _is_deleted
), bare as (
    select *, regexp_replace(
        regexp_replace(lower(tidy(text)), '^.*<([^<>]+@[^<>]+)>.*$|^mailto:', '\1'),
        '^[\s"''<>()\[\]]+|[\s"''<>()\[\].,;:]+$', '', 'g') as address
    from written
), split as (
    select *, split_part(address, '@', 1) as mailbox, split_part(address, '@', 2) as domain
    from bare
    where length(address) <= 254 and strpos(address, '@') <= 65
        and regexp_full_match(address, '[\p{L}\p{N}!#$%&''*+/=?^_`{|}~-]+(\.[\p{L}\p{N}!#$%&''*+/=?^_`{|}~-]+)*@([\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+(\p{L}{2,}|xn--[a-z0-9-]+)')
)
select _record_id as id, _record_id as party_id, address as email_address,
    case when domain in ('gmail.com', 'googlemail.com') then coalesce(
        nullif(replace(split_part(mailbox, '+', 1), '.', ''), '') || '@gmail.com', address)
        else address end as normalised_email,
    domain as email_domain, mailbox as email_mail_box, true as primary_flag,
    bounced as is_undeliverable, split_part(object, '_', 1) as data_source_id,
    object as data_source_object_id, _record_id as source_record_id,
    created::timestamp as created_date, _modified_at as last_modified_date,
    coalesce(provider.kind, 'company') as email_domain_type_id
from split left join read_csv('dbt_project/seeds/mail_provider.csv') as provider
    using (domain);

-- dmo.sales_order
create table dmo.sales_order as
with shop as (
    select *, said(customer, '$.id') as buyer, coalesce(list_sum(list_transform(
        from_json(refunds, '[{"refund_line_items": [{"subtotal": "decimal(18,4)"}],
            "transactions": [{"amount": "decimal(18,4)", "kind": "varchar",
                "status": "varchar"}]}]'),
        lambda refund: case when len(refund.transactions) > 0
            then list_sum(list_transform(list_filter(refund.transactions,
                lambda t: coalesce(t.kind, 'refund') = 'refund'
                    and coalesce(t.status, 'success') = 'success'), lambda t: t.amount))
            else list_sum(list_transform(refund.refund_line_items, lambda l: l.subtotal))
            end)), 0) as listed
    from dlo.shop_order where not _is_deleted and test is not true
), item as (
    select MANDT, VBELN, count(*) filter (nullif(trim(ABGRU), '') is null) as counted,
        coalesce(sum(NETWR) filter (nullif(trim(ABGRU), '') is null), 0) as value
    from dlo.erp_vbap where not _is_deleted group by all
), document as (
    select h.*, coalesce(AUART = 'RE', false) as is_return,
        coalesce(ABSTK = 'C' or counted = 0, false) as is_cancelled,
        case when counted is null then NETWR else value end as value
    from dlo.erp_vbak h left join item using (MANDT, VBELN) where not _is_deleted
), credit as (
    select r._record_id as return_record, o._record_id as order_record, r._modified_at,
        case when r.is_cancelled then 0 else abs(r.value) end as value
    from document r join document o on r.MANDT = o.MANDT and r.VGBEL = o.VBELN
        and upper(trim(r.WAERK)) is not distinct from upper(trim(o.WAERK))
    where r.is_return and not o.is_return
), credited as (
    select order_record, sum(value) as value, max(_modified_at) as _modified_at
    from credit group by all
), sold as (
    select _record_id as id, 'shop_order' as object,
        coalesce(name, order_number::varchar) as order_number,
        coalesce('shop_customer:' || buyer, _record_id) as sold_to_customer_id,
        null as bill_to_account_id, buyer is null as is_anonymous,
        cart_token as shopping_cart_id,
        coalesce(processed_at, created_at) as purchase_order_date,
        source_name as sales_channel_id, upper(trim(currency)) as currency_code,
        cancelled_at is not null or coalesce(financial_status = 'voided', false)
            as is_cancelled,
        financial_status = 'refunded' as all_back,
        financial_status = 'partially_refunded' as some_back,
        fulfillment_status = 'fulfilled' as is_fulfilled,
        total_price::decimal(18,2) as gross, subtotal_price as product_amount,
        total_tax as tax, total_shipping_price as delivery, total_discounts as discount,
        case when financial_status = 'refunded' and listed = 0
            then coalesce(total_price, 0) else listed end::decimal(18,2) as back,
        created_at as created, _modified_at
    from shop
    union all by name
    select d._record_id as id, 'erp_vbak' as object, VBELN as order_number,
        'erp_kna1:' || d.MANDT || '|' || d.KUNNR as sold_to_customer_id,
        k._record_id as bill_to_account_id, false as is_anonymous,
        coalesce(AUDAT, d.ERDAT)::timestamp as purchase_order_date,
        VTWEG as sales_channel_id, upper(trim(WAERK)) as currency_code, is_cancelled,
        is_return as all_back, GBSTK = 'C' as is_fulfilled,
        case when is_return then 0 else d.value end::decimal(18,2) as gross,
        gross as product_amount, case when is_return and is_cancelled then 0
            when is_return then abs(d.value)
            else coalesce(c.value, 0) end::decimal(18,2) as back,
        d.ERDAT as created, greatest(d._modified_at, c._modified_at) as _modified_at
    from document d left join credited c on c.order_record = d._record_id
    left join dlo.erp_kna1 k on k.MANDT = d.MANDT and k.KUNNR = d.KUNNR
        and not k._is_deleted and k.STKZN is distinct from 'X'
    anti join credit on credit.return_record = d._record_id
), judged as (
    select *, case when is_cancelled then 'cancelled'
        when all_back or (back > 0 and back >= gross) then 'returned'
        when some_back or back > 0 then 'partially_returned'
        when is_fulfilled then 'fulfilled' else 'open' end as status
    from sold
), valued as (
    select *, case when status in ('cancelled', 'returned') then 0
        when gross is not null then greatest(gross - back, 0) end::decimal(18,2) as net
    from judged
), rate as (
    select rate_date, upper(trim(currency_code)) as currency_code, rate_to_eur
    from dlo.finance_exchange_rate
    where not _is_deleted and upper(trim(currency_code)) <> 'EUR'
    union all select date '1900-01-01', 'EUR', 1::decimal(18,8)
)
select id, order_number, sold_to_customer_id, bill_to_account_id, purchase_order_date,
    status as sales_order_status_id, sales_channel_id, v.currency_code,
    gross as grand_total_amount, product_amount::decimal(18,2) as total_product_amount,
    tax::decimal(18,2) as total_tax_amount,
    delivery::decimal(18,2) as total_delivery_amount,
    discount::decimal(18,2) as total_discount_amount, back as refunded_amount,
    net as net_amount, rate_to_eur as exchange_rate,
    round(net * rate_to_eur, 2)::decimal(18,2) as net_amount_reporting, is_anonymous,
    shopping_cart_id, split_part(object, '_', 1) as data_source_id,
    object as data_source_object_id, id as source_record_id,
    created::timestamp as created_date, _modified_at as last_modified_date
from valued v asof left join rate
    on v.currency_code = rate.currency_code and v.purchase_order_date::date >= rate_date;

-- unified.unified_individual
-- Source priority: the first of the list, then the latest change, then the record's
-- name. Names and birth dates: what most records say, in its most common spelling.
create table unified.unified_individual as
with record as (
    select l.unified_individual_id as person, i.* exclude (primary_account_id),
        a.unified_account_id as account, {
            'priority': case when data_source_object_id = 'crm_contact' then 0
                when data_source_id = 'erp' then 1
                when data_source_object_id = 'shop_customer' then 2
                when data_source_id = 'support' then 3
                when data_source_id = 'email' then 4
                when data_source_object_id = 'shop_order' then 5
                when data_source_object_id = 'crm_lead' then 6 else 7 end,
            'age': -coalesce(epoch_us(i.last_modified_date), 0), 'record': i.id} as prior,
        {'age': -coalesce(epoch_us(i.last_modified_date), 0), 'record': i.id} as recent
    from unified_link_individual l join dmo.individual i on i.id = l.record
    left join unified_link_account a on a.record = i.primary_account_id
), best as (
    select person, count(*) as record_count,
        count(distinct data_source_id) as source_count,
        bool_or(is_anonymous is not true) as is_known,
        min(created_date) as created_date, max(last_modified_date) as last_modified_date,
        arg_min({'value': middle_name, 'record': id}, prior) filter (trim(middle_name) <> '') as middle_name,
        arg_min({'value': name_suffix, 'record': id}, prior) filter (trim(name_suffix) <> '') as name_suffix,
        arg_min({'value': salutation, 'record': id}, prior) filter (trim(salutation) <> '') as salutation,
        arg_min({'value': gender_id, 'record': id}, prior) filter (trim(gender_id) <> '') as gender_id,
        arg_min({'value': title_name, 'record': id}, prior) filter (trim(title_name) <> '') as title_name,
        arg_min({'value': account, 'record': id}, prior) filter (trim(account) <> '') as account,
        arg_min({'value': person_name, 'record': id}, prior) filter (trim(person_name) <> '') as person_name,
        arg_min({'value': primary_language_id, 'record': id}, recent) filter (trim(primary_language_id) <> '') as primary_language_id
    from record group by person
), spelt as (
    select person, field, value, count(*) as records, min(recent) as recent
    from (
        select person, recent, unnest([{'field': 'first_name', 'value': first_name},
            {'field': 'last_name', 'value': last_name},
            {'field': 'birth_date', 'value': birth_date::varchar}], recursive := true)
        from record
    )
    where trim(value) <> '' group by all
), meant as (
    select person, field, sum(records) as records, min(recent) as recent,
        arg_min({'value': value, 'record': recent.record}, {'r': -records, 's': recent})
            as choice
    from spelt group by person, field, fold(value)
), frequent as (
    select person, field,
        arg_min(choice, {'r': -records, 's': recent}) as choice
    from meant group by person, field
), common as (
    select person, any_value(choice) filter (field = 'first_name') as first_name,
        any_value(choice) filter (field = 'last_name') as last_name,
        any_value(choice) filter (field = 'birth_date') as birth_date
    from frequent group by person
)
select person as unified_individual_id, common.first_name.value as first_name,
    common.first_name.record as first_name_record,
    best.middle_name.value as middle_name, best.middle_name.record as middle_name_record,
    best.name_suffix.value as name_suffix, best.name_suffix.record as name_suffix_record,
    best.salutation.value as salutation, best.salutation.record as salutation_record,
    best.gender_id.value as gender_id, best.gender_id.record as gender_id_record,
    best.title_name.value as title_name, best.title_name.record as title_name_record,
    best.primary_language_id.value as primary_language_id, best.primary_language_id.record as primary_language_id_record,
    best.account.value as primary_account_id, best.account.record as primary_account_id_record,
    common.last_name.value as last_name, common.last_name.record as last_name_record,
    case when common.first_name is null and common.last_name is null
        then best.person_name.value
        else concat_ws(' ', common.first_name.value, best.middle_name.value,
            common.last_name.value, best.name_suffix.value) end as person_name,
    common.birth_date.value::date as birth_date,
    common.birth_date.record as birth_date_record,
    record_count, source_count, is_known, created_date, last_modified_date
from best left join common using (person);

-- insights.lifetime_value
create table insights.lifetime_value as
with bought as (
    select unified_individual_id, net_amount, net_amount_reporting as euro,
        coalesce(currency_code, 'XXX') as currency, purchase_order_date as moment
    from dmo.sales_order o join unified_link_individual l
        on l.record = o.sold_to_customer_id
    where sales_order_status_id not in ('cancelled', 'returned')
        and coalesce(purchase_order_date <= getvariable('as_of'), true)
), amount as (
    select unified_individual_id, currency, sum(net_amount) as amount
    from bought where net_amount is not null group by all
), by_currency as (
    select unified_individual_id,
        to_json(map_from_entries(list((currency, amount) order by currency))) as amounts
    from amount group by all
)
select unified_individual_id, sum(euro)::decimal(18,2) as lifetime_value,
    count(*) as total_orders, avg(euro)::decimal(18,2) as avg_order_value,
    min(moment)::date as first_order_date, max(moment)::date as last_order_date,
    date_diff('day', min(moment)::date, getvariable('as_of')::date) as customer_tenure_days,
    coalesce(any_value(amounts), '{}'::json) as lifetime_value_by_currency,
    count(*) filter (euro is null) as orders_without_rate
from bought left join by_currency using (unified_individual_id)
group by unified_individual_id;

-- insights.engagement_score
create table insights.engagement_score as
with web as (
    select _record_id, timestamp as moment, nullif(trim(anonymousId), '') as device,
        'shop_customer:' || nullif(trim(userId), '') as record,
        case when lower(trim(type)) = 'page' then 'WebVisit'
            when lower(trim(type)) = 'track' and lower(trim(regexp_replace(
                regexp_replace(event, '([\p{Ll}\d])(\p{Lu})', '\1_\2', 'g'),
                '[^\p{L}\d]+', '_', 'g'), '_')) in ('product_added', 'product_removed',
                'cart_viewed', 'checkout_started') then 'Cart' end as kind
    from dlo.web_event where not _is_deleted
), login as (
    select device, record, moment, 
        lead(moment) over (partition by device order by moment, _record_id) as ended, count(*) over (partition by device) as logins
    from (
        select *, lag(record) over (partition by device order by moment, _record_id) as before
        from web where device is not null and record is not null
    ) where record is distinct from before
), held as (
    select device as held_device, record as holder, ended,
        case when logins > 1 then moment else '-infinity'::timestamp end as since
    from login where ended is null or ended > moment
), event as (
    select 'email_subscriber:' || nullif(trim(SubscriberKey), '') as record,
        EventDate as moment, case lower(trim(EventType)) when 'open' then 'EmailOpen'
            when 'click' then 'EmailClick' end as kind
    from dlo.email_event where not _is_deleted and IsTestSend is not true
    union all
    select coalesce(record, case when ended is null or moment < ended then holder end), moment,
        kind
    from (from web where kind is not null) w
    asof left join held on w.device = held.held_device and w.moment >= held.since
    union all
    select sold_to_customer_id, purchase_order_date, 'Purchase' from dmo.sales_order
    where bill_to_account_id is null and sales_order_status_id <> 'cancelled'
        and (grand_total_amount = 0 and refunded_amount > 0) is not true
)
select unified_individual_id, sum(case kind when 'EmailOpen' then 2 when 'WebVisit' then 1
        when 'Purchase' then 5 else 0 end)::bigint as engagement_score,
    max(moment) as last_engagement_date,
    count(*) filter (kind = 'EmailOpen') as email_opens_90d,
    count(*) filter (kind = 'EmailClick') as email_clicks_90d,
    count(*) filter (kind = 'WebVisit') as web_visits_90d,
    count(*) filter (kind = 'Purchase') as purchases_90d
from event join unified_link_individual using (record)
where kind is not null and moment <= getvariable('as_of')
    and moment >= getvariable('as_of')::date - interval 90 day
group by unified_individual_id;
