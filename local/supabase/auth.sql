-- What Supabase Auth keeps in its schema, as far as local/supabase/auth.py needs it; columns and types are the
-- real ones'. Runs as supabase_admin.

grant all on schema auth to supabase_auth_admin;

alter table auth.users
  add column instance_id uuid,
  add column aud varchar(255),
  add column role varchar(255),
  add column encrypted_password varchar(255),
  add column email_confirmed_at timestamptz,
  add column last_sign_in_at timestamptz,
  add column raw_app_meta_data jsonb,
  add column raw_user_meta_data jsonb,
  add column created_at timestamptz default now(),
  add column updated_at timestamptz default now(),
  add column phone text unique,
  add column confirmed_at timestamptz generated always as (email_confirmed_at) stored,
  add column deleted_at timestamptz,
  add column is_anonymous boolean not null default false;

create table auth.identities (
  id uuid primary key default gen_random_uuid(),
  provider_id text not null,
  user_id uuid not null references auth.users on delete cascade,
  identity_data jsonb not null,
  provider text not null,
  last_sign_in_at timestamptz default now(),
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  email text generated always as (lower(identity_data ->> 'email')) stored,
  unique (provider_id, provider)
);

create table auth.sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  created_at timestamptz not null default now(),
  method text not null  -- the real one has a table of its own for it
);

create table auth.refresh_tokens (
  id bigint generated always as identity primary key,
  token varchar(255) not null unique,
  user_id varchar(255) not null,
  session_id uuid not null references auth.sessions on delete cascade,
  parent varchar(255),
  revoked boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

do $$
declare
  v_table regclass;
begin
  foreach v_table in array
    array['auth.users', 'auth.identities', 'auth.sessions', 'auth.refresh_tokens']::regclass[] loop
    execute format('alter table %s owner to supabase_auth_admin', v_table);
    execute format('alter table %s enable row level security', v_table);
    execute format('grant all on %s to postgres', v_table);
  end loop;
end
$$;

create function auth.jwt() returns jsonb language sql stable as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;
