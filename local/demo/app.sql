-- What an app's own first migration would hold, for the app that `make serve` and `make demo` serve. It is applied
-- once, when the database is made: change what you like.

-- Who is signed in may make events, and is their host.
create or replace function memoria.can_create_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select (select auth.uid()) is not null
$$;

-- The events that the user has something to do with.
create function public.my_events() returns table (event_id text, status text, role text)
language sql stable security definer set search_path = '' as $$
  select id, status, memoria.role_in(id, (select auth.uid())) from memoria.events
  where memoria.role_in(id, (select auth.uid())) is not null
  order by id
$$;
revoke execute on function public.my_events from public;
grant execute on function public.my_events to authenticated;

-- Photos lie in the bucket `photos`, in a folder by event; Memoria's rights on the event are the rights on them.
create schema app;
grant usage on schema app to authenticated;
create function app.may_view(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$ select memoria.can_view_event(p_event_id) $$;
create function app.may_contribute(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$ select memoria.can_contribute_to_event(p_event_id) $$;
create function app.may_manage(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$ select memoria.can_manage_event(p_event_id) $$;

insert into storage.buckets (id, name) values ('photos', 'photos');
create policy "members see photos" on storage.objects for select to authenticated
  using (bucket_id = 'photos' and app.may_view((storage.foldername(name))[1]));
create policy "contributors add photos" on storage.objects for insert to authenticated
  with check (bucket_id = 'photos' and app.may_contribute((storage.foldername(name))[1]));
create policy "contributors replace their photos" on storage.objects for update to authenticated
  using (bucket_id = 'photos' and owner_id = (select auth.uid()::text)
    and app.may_contribute((storage.foldername(name))[1]))
  with check (bucket_id = 'photos' and app.may_contribute((storage.foldername(name))[1]));
create policy "contributors take their photos back, hosts any" on storage.objects for delete to authenticated
  using (bucket_id = 'photos' and (
    app.may_manage((storage.foldername(name))[1])
    or (owner_id = (select auth.uid()::text) and app.may_contribute((storage.foldername(name))[1]))
  ));
