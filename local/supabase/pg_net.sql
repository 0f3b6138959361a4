-- A stand-in for pg_net and Supabase's webhook trigger function; local/supabase/pg_net.py is its worker.
-- As with the real one, both tables and the sequence of ids are unlogged: after a crash they are empty
-- and count from 1 again. Every role may read them.

create schema if not exists net;
grant usage on schema net to public;

create unlogged sequence if not exists net.http_request_queue_id_seq;

create unlogged table if not exists net.http_request_queue (
  id bigint not null default nextval('net.http_request_queue_id_seq'),
  method text not null check (method in ('GET', 'POST', 'DELETE')),
  url text not null,
  headers jsonb,
  body bytea,
  timeout_milliseconds int not null
);

create unlogged table if not exists net._http_response (
  id bigint,
  status_code integer,
  content_type text,
  headers jsonb,
  content text,
  timed_out bool,
  error_msg text,
  created timestamptz not null default now()
);
create index if not exists http_response_created on net._http_response (created);

grant all on all tables in schema net to public;
grant all on all sequences in schema net to public;

create or replace function net._urlencode(value text) returns text
language sql immutable set search_path = '' as $$
  select coalesce(string_agg(
    case when part ~ '[A-Za-z0-9_.~-]' then part
         else regexp_replace(upper(encode(convert_to(part, 'UTF8'), 'hex')), '(..)', '%\1', 'g') end,
    '' order by position), '')
  from regexp_split_to_table(value, '') with ordinality as parts (part, position)
$$;

-- What libcurl says of an address, before anything is queued.
create or replace function net._url_fault(url text) returns text
language sql immutable set search_path = '' as $$
  select case
    when url is null or url = '' or url ~ '[[:cntrl:] ]' then 'Malformed input to a URL function'
    when url !~ '^[A-Za-z][A-Za-z0-9+.-]*://' then 'Bad scheme'
    when url !~* '^https?://' then 'Unsupported URL scheme'
    when url ~ '://([^/?#]*@)?\[[^]/?#]*([/?#]|$)' then 'Bad IPv6 address'
    when url ~ '://([^/?#]*@)?(:[^/?#]*)?([/?#]|$)' then 'No host part in the URL'
    when url ~ '://[^/?#]*:[^/?#:\]]*[^0-9/?#:\]][^/?#:\]]*([/?#]|$)'
      then 'Port number was not a decimal number between 0 and 65535'
    when url ~ '://([^/?#]*@)?[^/?#]*[\\%<>{}|^`"'';,+()!$&*=~]' then 'Bad hostname'
  end
$$;

create or replace function net._enqueue(
  method text, url text, params jsonb, headers jsonb, body bytea, timeout_milliseconds int
) returns bigint language plpgsql set search_path = '' as $$
declare
  query text;
  request_id bigint;
begin
  if net._url_fault(url) is not null then
    raise exception '%', net._url_fault(url);
  end if;
  select string_agg(net._urlencode(key) || '=' || net._urlencode(value), '&')
    into query from jsonb_each_text(coalesce(params, '{}'));
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values (method, url || coalesce(case when position('?' in url) > 0 then '&' else '?' end || query, ''),
          headers, body, timeout_milliseconds)
  returning id into request_id;
  perform pg_notify('pg_net', '');  -- delivered at commit, like the real worker's wake-up
  return request_id;
end $$;

create or replace function net.http_post(
  url text,
  body jsonb default '{}'::jsonb,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint language plpgsql set search_path = '' as $$
declare
  content_type text;
begin
  select value into content_type from jsonb_each_text(coalesce(headers, '{}'))
   where lower(key) = 'content-type' limit 1;
  if content_type is null then
    headers := coalesce(headers, '{}') || '{"Content-Type": "application/json"}';
  elsif content_type <> 'application/json' then
    raise exception 'Content-Type header must be "application/json"';
  end if;
  return net._enqueue('POST', url, params, headers, convert_to(body::text, 'UTF8'), timeout_milliseconds);
end $$;

create or replace function net.http_get(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint language sql set search_path = '' as $$
  select net._enqueue('GET', url, params, headers, null, timeout_milliseconds)
$$;

-- The real one wakes a worker that hangs: what it was sending is sent again.
create or replace function net.worker_restart() returns boolean
language sql security definer set search_path = '' as $$
  select pg_notify('pg_net_worker', 'restart') is not null
$$;

-- For tests only: the worker stands still until worker_restart(), as the real one was seen to.
create or replace function net._worker_stop() returns boolean
language sql security definer set search_path = '' as $$
  select pg_notify('pg_net_worker', 'stop') is not null
$$;

create schema if not exists supabase_functions;
grant usage on schema supabase_functions to postgres, anon, authenticated, service_role;

create table if not exists supabase_functions.hooks (
  id bigint generated by default as identity primary key,
  hook_table_id integer not null,
  hook_name text not null,
  created_at timestamptz not null default now(),
  request_id bigint
);
alter table supabase_functions.hooks enable row level security;

-- arguments of the trigger: url, method, headers, params, timeout in milliseconds
create or replace function supabase_functions.http_request() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  url text := tg_argv[0];
  method text := tg_argv[1];
  headers jsonb := coalesce(nullif(tg_argv[2], 'null'), '{"Content-Type": "application/json"}')::jsonb;
  params jsonb := coalesce(nullif(tg_argv[3], 'null'), '{}')::jsonb;
  timeout int := coalesce(nullif(tg_argv[4], 'null'), '1000')::int;
  request_id bigint;
begin
  if url is null or url = 'null' then
    raise exception 'url argument is missing';
  elsif method is null or method not in ('GET', 'POST') then
    raise exception 'method argument % is invalid', method;
  elsif method = 'GET' then
    request_id := net.http_get(url, params, headers, timeout);
  else
    request_id := net.http_post(url, jsonb_build_object(
      'type', tg_op, 'table', tg_table_name, 'schema', tg_table_schema,
      'record', case when tg_op = 'DELETE' then null else to_jsonb(new) end,
      'old_record', case when tg_op = 'INSERT' then null else to_jsonb(old) end
    ), params, headers, timeout);
  end if;
  insert into supabase_functions.hooks (hook_table_id, hook_name, request_id)
  values (tg_relid, tg_name, request_id);
  return new;
end $$;
