-- What a Supabase project holds before its first migration, as far as Memoria can tell the difference.
-- Runs as the superuser supabase_admin; `postgres`, who applies migrations, is none, as on Supabase.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
create role postgres login createdb createrole replication bypassrls;
grant anon, authenticated, service_role to postgres with admin option;
create role supabase_auth_admin login noinherit createrole;
create role supabase_storage_admin login noinherit createrole;
grant anon, authenticated, service_role to supabase_storage_admin;

-- A session of PostgREST's, and what it takes over from the role that it changes to.
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
-- everybody else: the most that a hosted project allows
alter role postgres set statement_timeout = '2min';
alter role postgres set search_path = "$user", public, extensions;
