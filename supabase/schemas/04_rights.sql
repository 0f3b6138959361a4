-- Who may do what. Each rule is one function that an app may replace (`create or replace function`,
-- same name and arguments); docs/sql-surface.md tells which function asks which.

-- host, cohost, contributor, viewer, or null for who has nothing to do with the event.
create function memoria.role_in(p_event_id text, p_user_id uuid) returns text
language sql stable security definer set search_path = '' as $$
  select case
    when exists (select from memoria.events where id = p_event_id and owner_id = p_user_id) then 'host'
    else (select role from memoria.members where event_id = p_event_id and user_id = p_user_id)
  end
$$;

create function memoria.can_create_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select false
$$;
comment on function memoria.can_create_event(text) is
  'Whether the user may make an event of this id: replace its body with your app''s own rule.';

create function memoria.can_view_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select memoria.role_in(p_event_id, (select auth.uid())) is not null
$$;
comment on function memoria.can_view_event(text) is
  'Whether the user may see photos and people of the event: replace its body with your app''s own rule.';

create function memoria.can_contribute_to_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select coalesce(memoria.role_in(p_event_id, (select auth.uid())) in ('host', 'cohost', 'contributor'), false)
$$;
comment on function memoria.can_contribute_to_event(text) is
  'Whether the user may add photos to the event: replace its body with your app''s own rule.';

create function memoria.can_manage_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select coalesce(memoria.role_in(p_event_id, (select auth.uid())) in ('host', 'cohost'), false)
$$;
comment on function memoria.can_manage_event(text) is
  'Whether the user may correct, remove and forget: replace its body with your app''s own rule.';

create function memoria.can_search_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select false
$$;
comment on function memoria.can_search_event(text) is
  'Whether the user may search the event by selfie: replace its body with your app''s own rule.';

-- Which objects a user may have processed: the worker reads them with rights that the user has not, so
-- by default only what they uploaded themselves. Names are compared as storage will be asked for them.
create function memoria.can_use_object(p_bucket text, p_path text) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
  v_theirs boolean;
begin
  if p_bucket like 'gs://%' or not memoria.is_bucket(p_bucket) or not memoria.is_object_name(p_bucket, p_path) then
    return false;
  elsif to_regclass('storage.objects') is null then
    return true;  -- not Supabase Storage: nothing is known of whose an object is
  end if;
  execute 'select exists (
      select from storage.objects where bucket_id = $1 and name = $2 and owner_id = auth.uid()::text
    )' into v_theirs using p_bucket, p_path;
  return v_theirs;
end
$$;
comment on function memoria.can_use_object(text, text) is
  'Which stored objects a user may hand over: replace its body with your app''s own rule.';

-- The service role and the owner of these functions. Meant for the inside of security definer
-- functions, where current_user is that owner while the setting "role" still names the caller.
create function memoria.caller_is_trusted() returns boolean
language sql stable set search_path = '' as $$
  with caller as (
    select coalesce(nullif(current_setting('role', true), 'none'), session_user) as name
  )
  select name = 'service_role' or pg_has_role(name::name, current_user, 'usage') from caller
$$;

-- The one answer to whoever may not, and to whoever named what is not there.
create function memoria.refuse_unknown(p_what text) returns void
language plpgsql stable set search_path = '' as $$
begin
  raise exception 'There is no such %.', p_what using errcode = 'PT404';
end
$$;

create function memoria.may(p_event_id text, p_right text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return memoria.caller_is_trusted() or coalesce(
    case p_right
      when 'create' then memoria.can_create_event(p_event_id)
      when 'view' then memoria.can_view_event(p_event_id)
      when 'contribute' then memoria.can_contribute_to_event(p_event_id)
      when 'manage' then memoria.can_manage_event(p_event_id)
      when 'search' then memoria.can_search_event(p_event_id)
    end,
    false
  );
end
$$;

-- Raises 404 for who may not, whether or not the event is there. Who may by the app's own rule passes
-- for an event that is not known yet; the service role is told that it is not there.
create function memoria.authorize(p_event_id text, p_right text, p_what text default 'event') returns void
language plpgsql stable set search_path = '' as $$
begin
  if not memoria.may(p_event_id, p_right)
    or (memoria.caller_is_trusted() and not exists (select from memoria.events where id = p_event_id)) then
    perform memoria.refuse_unknown(p_what);
  end if;
end
$$;

-- Whoever changes an event's photos, faces, people or jobs locks its row first: event, job, dispatcher
-- is the order of locks everywhere; of several events, in the order of their ids.
create function memoria.lock_event(p_event_id text) returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  select * into v_event from memoria.events where id = p_event_id for no key update;
  return v_event;
end
$$;

-- Locks an event for a change that the caller may make, before and after waiting for it. Raises 404.
create function memoria.lock_event_for(p_event_id text, p_right text, p_what text default 'event')
returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  perform memoria.authorize(p_event_id, p_right, p_what);
  v_event := memoria.lock_event(p_event_id);
  if v_event.id is null then
    perform memoria.refuse_unknown(p_what);
  end if;
  perform memoria.authorize(p_event_id, p_right, p_what);
  return v_event;
end
$$;

-- The same, of an event that is not archived. Raises 404, or 409 when it is.
create function memoria.lock_open_event(p_event_id text, p_right text, p_what text default 'event')
returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, p_right, p_what);
begin
  if v_event.status = 'archived' then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  end if;
  return v_event;
end
$$;

-- What pages show has changed; the event is locked. Who is who, or only which photos there are.
create function memoria.touch_people(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set people_version = people_version + 1 where id = p_event_id
$$;

create function memoria.touch_photos(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set photos_version = photos_version + 1 where id = p_event_id
$$;
