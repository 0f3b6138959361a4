-- What Supabase Storage keeps in its schema; the bytes lie in files (local/supabase/objects.py). Tables, their
-- owner, grants and functions are the real ones'. Runs as supabase_admin.

grant all on schema storage to supabase_storage_admin;

create table storage.buckets (
  id text primary key,
  name text not null unique,
  owner uuid,
  owner_id text,
  public boolean default false,
  file_size_limit bigint,
  allowed_mime_types text[],
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

create table storage.objects (
  id uuid primary key default gen_random_uuid(),
  bucket_id text references storage.buckets,
  name text,
  owner uuid,
  owner_id text,
  version text,
  metadata jsonb,
  user_metadata jsonb,
  path_tokens text[] generated always as (string_to_array(name, '/')) stored,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_accessed_at timestamptz default now()
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);

alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
grant all on storage.buckets, storage.objects to anon, authenticated, service_role, postgres;
-- Supabase lets `postgres` make policies on tables that it does not own; plain PostgreSQL knows membership only.
grant supabase_storage_admin to postgres with inherit true;

create function storage.foldername(name text) returns text[] language sql immutable as $$
  select (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1]
$$;
create function storage.filename(name text) returns text language sql immutable as $$
  select (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)]
$$;
create function storage.extension(name text) returns text language sql immutable as $$
  select reverse(split_part(reverse(storage.filename(name)), '.', 1))
$$;

-- One level below a prefix: files, and folders, which have no id. Without case, as the real one.
create function storage.search(
  prefix text, bucketname text, limits int default 100, levels int default 1, offsets int default 0,
  search text default '', sortcolumn text default 'name', sortorder text default 'asc'
) returns table (
  name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query execute format($query$
    with found as (
      select o.*, substr(o.name, length($1 || $2) + 1) as rest
      from storage.objects o
      where o.bucket_id = $3 and starts_with(lower(o.name), lower($1 || $2))
    ),
    entries as (
      select distinct substr($1 || $2 || split_part(rest, '/', 1), length($1) + 1) as name, null::uuid as id,
        null::timestamptz as updated_at, null::timestamptz as created_at, null::timestamptz as last_accessed_at,
        null::jsonb as metadata
      from found where rest like '%%/%%'
      union all
      select substr(name, length($1) + 1), id, updated_at, created_at, last_accessed_at, metadata
      from found where rest not like '%%/%%'
    )
    select * from entries order by %s limit $4 offset $5
  $query$,
    case
      when sortcolumn in ('updated_at', 'created_at', 'last_accessed_at')
        then format('%I %2$s nulls first, lower(name) collate "C" %2$s', sortcolumn, sortorder)
      else format('lower(name) collate "C" %s', sortorder)
    end)
  using prefix, search, bucketname, least(limits, 1500), offsets;
end
$$;
grant execute on all functions in schema storage to anon, authenticated, service_role, postgres;
