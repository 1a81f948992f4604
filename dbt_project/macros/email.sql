{#- E-mail addresses. What is no address becomes null, so that a contact point exists
    only where a message could be sent. -#}

{#- Trimmed, without the quotes, brackets and display name mail programs put around it,
    in lower case. Only domains ignore case by the standard, but no provider we know
    tells Ada@ from ada@, and sources do not agree on the spelling. -#}
{% macro normalise_email(column) -%}
    {%- set bare -%}
        regexp_replace(
            regexp_replace(
                lower({{ clean_text(column) }}), '^.*<([^<>]+@[^<>]+)>.*$|^mailto:', '\1'
            ),
            '^[\s"''<>()\[\]]+|[\s"''<>()\[\].,;:]+$', '', 'g'
        )
    {%- endset -%}
    {%- set atom = "[\\p{L}\\p{N}!#$%&'*+/=?^_`{|}~-]+" -%}
    {%- set label = "[\\p{L}\\p{N}]([\\p{L}\\p{N}-]*[\\p{L}\\p{N}])?" -%}
    {%- set form = atom ~ "(\\." ~ atom ~ ")*@(" ~ label ~ "\\.)+(\\p{L}{2,}|xn--[a-z0-9-]+)" -%}
    case
        when
            {{ matches_whole(bare, form) }}
            and length({{ bare }}) <= 254
            and strpos({{ bare }}, '@') <= 65
            then {{ bare }}
    end
{%- endmacro %}

{#- The form in which normalised addresses are compared. gmail delivers a.da+news@ and
    ada@ to one inbox, and googlemail.com is its older name; no other provider is known
    to ignore dots, so theirs stay. Var fold_gmail turns this off. -#}
{% macro email_match_form(column) -%}
    {%- if var('fold_gmail') -%}
    case
        when split_part({{ column }}, '@', 2) in ('gmail.com', 'googlemail.com')
            then coalesce(
                nullif(
                    replace(split_part(split_part({{ column }}, '@', 1), '+', 1), '.', ''), ''
                ) || '@gmail.com',
                {{ column }}
            )
        else {{ column }}
    end
    {%- else -%}
    {{ column }}
    {%- endif -%}
{%- endmacro %}

{#- The rows of a mapping that have an address, with what follows from it. A domain that
    nobody gives away mailboxes at is a company's, or somebody's own. -#}
{% macro with_email_forms(addresses) -%}
    select
        addresses.*,
        {{ email_match_form('addresses.email_address') }} as normalised_email,
        split_part(addresses.email_address, '@', 2) as email_domain,
        split_part(addresses.email_address, '@', 1) as email_mail_box,
        coalesce(provider.kind, 'company') as email_domain_type_id
    from {{ addresses }} as addresses
    left join {{ ref('mail_provider') }} as provider
        on provider.domain = split_part(addresses.email_address, '@', 2)
    where addresses.email_address is not null
{%- endmacro %}
