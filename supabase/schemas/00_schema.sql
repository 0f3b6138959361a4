-- The schema, and what a name may look like. Ids of events and media are the app's own.

-- Here and there a subquery ends with "offset 0". It skips nothing, but PostgreSQL does not merge such a subquery with
-- the query around it: it asks it once for each row, by the key, also where it has no statistics yet. Merged, it may
-- become a join that reads all photos, faces or people.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;

create schema memoria;
comment on schema memoria is 'Finds the people in the photos of an event. Reached through public.memoria_… only.';
revoke all on schema memoria from public;

-- The rule of contracts.py: 1 to 200 characters, none of them a control character.
create function memoria.is_id(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 200
    and p_text !~ '[\u0001-\u001f\u007f]'
$$;

-- A Storage bucket, or gs://name for Google Cloud Storage.
create function memoria.is_bucket(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 222
    and p_text ~ '^(gs://)?[^/%?#\\[:space:][:cntrl:]][^/%?#\\[:cntrl:]]*$'
    and p_text not in ('.', '..', 'gs://.', 'gs://..')
$$;

-- Whether a name is written as storage will be asked for it. Storage's client decodes %2E, drops empty
-- segments and refuses dots, so that another spelling would name another object than was compared.
create function memoria.is_object_name(p_bucket text, p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 1024
    and p_text !~ '[\u0001-\u001f\u007f]'
    and (p_bucket like 'gs://%' or (
      p_text !~ '%' and p_text !~ '(^|/)(\.{0,2})(/|$)'
    ))
$$;

-- How names of people are compared: without case, accents and blanks around or doubled.
create function memoria.name_key(p_name text) returns text
language sql immutable set search_path = '' as $$
  select replace(replace(replace(translate(
    regexp_replace(
      lower(regexp_replace(normalize(btrim(p_name), nfkd), '[\u0300-\u036f]', '', 'g')), '\s+', ' ', 'g'
    ),
    'øłđðı', 'olddi'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')
$$;

-- Null where the text is no uuid.
create function memoria.as_uuid(p_text text) returns uuid
language sql immutable set search_path = '' as $$
  select case when p_text ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$' then p_text::uuid end
$$;
