-- what the tests of the stand-ins call
create function public.add(a int, b int default 10) returns int
  language sql immutable as $$ select a + b $$;
create function public.echo(value jsonb) returns jsonb language sql immutable as $$ select value $$;
create function public.nothing() returns void language sql as $$ select 1 $$;
create function public.null_value() returns jsonb language sql as $$ select null::jsonb $$;
create function public.numbers(n int) returns setof int
  language sql immutable as $$ select generate_series(1, n) $$;
create function public.pair(out x int, out y text) language sql as $$ select 5, 'five' $$;
create function public.one_out(out x int) language sql as $$ select 5 $$;
create function public.rows(n int) returns table (i int, name text)
  language sql as $$ select g, 'row ' || g from generate_series(1, n) g $$;
create function public.whole(jsonb) returns jsonb language sql as $$ select $1 -> 'a' $$;
create function public.same(a int) returns text language sql as $$ select 'int' $$;
create function public.same(a text) returns text language sql as $$ select 'text' $$;
create function public.length_of(v extensions.vector) returns int
  language sql immutable as $$ select extensions.vector_dims(v) $$;
create function public.count_vectors(v extensions.vector[]) returns int
  language sql immutable as $$ select cardinality(v) $$;
create function public.whoami() returns jsonb language sql stable as $$
  select jsonb_build_object('role', current_user, 'claims', current_setting('request.jwt.claims')::jsonb,
    'read_only', current_setting('transaction_read_only'), 'method', current_setting('request.method'),
    'path', current_setting('request.path'), 'uid', auth.uid())
$$;
create function public.timeout() returns text language sql set statement_timeout = '7s'
  as $$ select current_setting('statement_timeout') $$;
create function public.limits() returns jsonb language sql as $$
  select jsonb_build_object('statement', current_setting('statement_timeout'), 'lock', current_setting('lock_timeout'))
$$;
create function public.careless() returns void language plpgsql as $$
begin
  raise exception 'DELETE requires a WHERE clause' using errcode = '21000';
end
$$;
create function public.too_slow() returns text language sql set statement_timeout = '100ms'
  as $$ select pg_sleep(5)::text $$;
create table public.notes (id int primary key);
create function public.write_note(id int) returns void
  language sql as $$ insert into public.notes values (id) $$;
create function public.sly_note(id int) returns void
  language sql stable security definer as $$ select 1 $$;
create function public.raise_error(code text) returns void language plpgsql as
  $$ begin raise exception using errcode = code, message = 'told', detail = 'more', hint = 'try'; end $$;
create function public.private() returns int language sql as $$ select 1 $$;
create function public.teapot() returns text language sql
  as $$ select set_config('response.status', '418', true) $$;
create function public.on_note() returns trigger language plpgsql as $$ begin return new; end $$;

do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select oid from pg_proc where pronamespace = 'public'::regnamespace and proname not like 'memoria\_%'
  loop
    execute format('revoke execute on function %s from public, anon, authenticated', v_function);
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end
$$;
grant execute on function public.whoami(), public.add(int, int), public.limits() to anon, authenticated;
grant insert on public.notes to service_role;
grant execute on function public.write_note(int) to anon;
