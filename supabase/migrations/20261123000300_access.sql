-- Who may see and correct an event. An app replaces memoria.can_access_event with its own rule.

create function memoria.can_access_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select from memoria.events where id = p_event_id and owner_id = (select auth.uid())
  )
$$;
comment on function memoria.can_access_event(text) is
  'The access rule of the whole schema: replace its body with your app''s own.';

-- Which objects a user may have processed: the worker reads them with rights that the user has not, so
-- by default only what they uploaded themselves. An app replaces this with its own rule too.
create function memoria.can_use_object(p_bucket text, p_path text) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
  v_theirs boolean;
begin
  if p_bucket like 'gs://%' then
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
  'Which stored objects a user may enqueue: replace its body with your app''s own rule.';

-- The service role and the owner of these functions. Meant for the inside of security definer
-- functions, where current_user is that owner while the setting "role" still names the caller.
create function memoria.caller_is_trusted() returns boolean
language sql stable set search_path = '' as $$
  with caller as (
    select coalesce(nullif(current_setting('role', true), 'none'), session_user) as name
  )
  select name = 'service_role' or pg_has_role(name::name, current_user, 'usage') from caller
$$;

-- Raises 403 for who may not, known event or not, and 404 for who may but named none.
create function memoria.authorize_event(p_event_id text) returns void
language plpgsql stable set search_path = '' as $$
begin
  if not memoria.caller_is_trusted() then
    if memoria.can_access_event(p_event_id) is not true then
      raise exception 'This event is not yours.' using errcode = '42501';
    end if;
  elsif not exists (select from memoria.events where id = p_event_id) then
    raise exception 'There is no such event.' using errcode = 'PT404';
  end if;
end
$$;

-- Whoever changes an event's photos, faces, people or jobs locks its row first:
-- event, then job, then dispatcher is the order of locks everywhere.
create function memoria.lock_event(p_event_id text) returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  select * into v_event from memoria.events where id = p_event_id for no key update;
  return v_event;
end
$$;

-- Locks an open event that the caller may change. Raises 403, 404, or 409 when it is archived.
create function memoria.lock_open_event(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  perform memoria.authorize_event(p_event_id);
  if (memoria.lock_event(p_event_id)).status = 'archived' then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  end if;
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
