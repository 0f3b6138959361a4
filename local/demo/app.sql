-- What an app's own first migration would hold, for the app that `make serve` and `make demo` serve. It is applied
-- once, when the database is made. Change what you like: the next start makes another database of it.

-- Who is signed in may make events, and is their host: here also who looks around without an account.
create or replace function memoria.can_create_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select (select auth.uid()) is not null
$$;

-- What Memoria does not keep: what an event is called. A title goes with its event.
create schema app;
grant usage on schema app to authenticated;
create table app.titles (
  event_id text primary key references memoria.events on delete cascade,
  title text not null,
  constraint titles_length check (char_length(title) between 1 and 200)
);
alter table app.titles enable row level security;

create function public.name_event(p_event_id text, p_title text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform memoria.authorize(p_event_id, 'manage');
  insert into app.titles (event_id, title) values (p_event_id, p_title)
  on conflict (event_id) do update set title = excluded.title;
end
$$;

-- The events that the user has something to do with.
create function public.my_events() returns table (
  event_id text, title text, status text, role text, archive_at timestamptz, created_at timestamptz
)
language sql stable security definer set search_path = '' as $$
  select id, coalesce(title, id), status, memoria.role_in(id, (select auth.uid())), archive_at, created_at
  from memoria.events left join app.titles on titles.event_id = events.id
  where memoria.role_in(id, (select auth.uid())) is not null
  order by status desc, created_at desc, id
$$;

-- Members by what people know of each other. Anybody makes an event and manages it, so this tells every user
-- who has an account, and a member's email by their id. It is kept from who has no account themselves. An app of
-- your own does better: it stores an invitation by email, sends it there, and answers the same whether or not there
-- is an account; whoever signs in with that address becomes a member.
create function app.has_account() returns boolean
language sql stable security definer set search_path = '' as $$
  select not coalesce(((select auth.jwt()) ->> 'is_anonymous')::boolean, false)
$$;

create function public.invite(p_event_id text, p_email text, p_role text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid;
begin
  perform memoria.authorize(p_event_id, 'manage');
  if not app.has_account() then
    raise exception 'Who has no account adds nobody.' using errcode = '42501';
  end if;
  select id into v_user from auth.users where email = lower(btrim(p_email));
  if v_user is null then
    raise exception 'Nobody has an account with this email.' using errcode = 'PT404';
  end if;
  return public.memoria_add_member(p_event_id, v_user, p_role);
end
$$;

create function public.event_members(p_event_id text)
returns table (user_id uuid, email text, role text, is_owner boolean)
language plpgsql stable security definer set search_path = '' as $$
begin
  perform memoria.authorize(p_event_id, 'manage');
  return query
    select users.id, case when app.has_account() then users.email::text end,
      memoria.role_in(p_event_id, users.id),
      users.id is not distinct from (select events.owner_id from memoria.events where events.id = p_event_id)
    from auth.users
    where users.id in (
      select events.owner_id from memoria.events where id = p_event_id
      union all select members.user_id from memoria.members where event_id = p_event_id
    )
    order by 4 desc, users.created_at, users.id;
end
$$;
revoke execute on function public.name_event, public.my_events, public.invite, public.event_members from public, anon;
grant execute on function public.name_event, public.my_events, public.invite, public.event_members to authenticated;

-- Photos lie in the bucket `photos`, in a folder by event; Memoria's rights on the event are the rights on them.
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
