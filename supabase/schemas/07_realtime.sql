-- What who follows an event is told through Supabase Realtime, on the private topic memoria:<event_id>:
-- counts, and which photo failed; never who is in it. Broadcasts may get lost, the tables are the truth.

-- Sends where Realtime is there. Never fails the work that it tells of, and never waits for a lock: the
-- event is locked meanwhile.
create function memoria.broadcast(p_event_id text, p_event text, p_payload jsonb) returns void
language plpgsql set search_path = '' set lock_timeout = '50ms' as $$
begin
  if to_regprocedure('realtime.send(jsonb, text, text, boolean)') is not null then
    execute 'select realtime.send($1, $2, $3, true)' using p_payload, p_event, 'memoria:' || p_event_id;
  end if;
exception when others then
  raise warning 'memoria: % is not told: %', p_event, sqlerrm;
end
$$;

-- Under the event's key, also while it has few neighbours: else PostgreSQL 16 counts among their photos.
create function memoria.photo_counts(p_event_id text) returns jsonb
language sql stable set search_path = '' set enable_seqscan = off set jit = off as $$
  select jsonb_build_object(
    'total', count(*),
    'pending', count(*) filter (where status = 'pending'),
    'completed', count(*) filter (where status = 'completed'),
    'failed', count(*) filter (where status = 'failed'),
    -- of the pending: those that something outside keeps from being looked at
    'waiting', (
      select count(*) from memoria.jobs
      where event_id = p_event_id and kind = 'process' and waiting_since is not null and finished_at is null
    )
  )
  from memoria.media where event_id = p_event_id
$$;

-- Counts an event's photos anew and tells who follows it: at most once a second, less often in a large
-- event, so that counting takes a small share of the time however many photos there are; but always when
-- nothing is pending any more. The event is locked. Callbacks carry what was counted last.
create function memoria.tell_progress(p_event_id text) returns void
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_counts jsonb;
begin
  select * into v_event from memoria.events where id = p_event_id;
  if v_event.counted_at > clock_timestamp() - greatest(
      interval '1 second', (v_event.counts ->> 'total')::integer * interval '100 microseconds'
    ) and exists (select from memoria.media where event_id = p_event_id and status = 'pending') then
    return;
  end if;
  v_counts := memoria.photo_counts(p_event_id);
  if v_counts is distinct from v_event.counts then
    update memoria.events set counts = v_counts, counted_at = clock_timestamp() where id = p_event_id;
    perform memoria.broadcast(p_event_id, 'progress', jsonb_build_object('photos', v_counts));
  end if;
end
$$;

-- For Realtime's policy: who may see an event may follow it.
create function public.memoria_may_follow(p_topic text) returns boolean
language sql stable security definer set search_path = '' as $$
  select starts_with(p_topic, 'memoria:') and coalesce(memoria.can_view_event(substr(p_topic, 9)), false)
$$;

create function memoria.following_is_allowed() returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from pg_policies
    where schemaname = 'realtime' and tablename = 'messages' and qual like '%memoria_may_follow(%'
  )
$$;

-- Lets users follow events. Again it changes nothing; where Realtime is missing, or keeps its table to
-- itself, nothing happens: doctor tells.
create function memoria.allow_following() returns void
language plpgsql set search_path = '' as $$
begin
  if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null
    or memoria.following_is_allowed() then
    return;
  end if;
  execute $policy$
    create policy "memoria: who may see an event may follow it" on realtime.messages
    for select to authenticated
    using (extension = 'broadcast' and (select public.memoria_may_follow((select realtime.topic()))))
  $policy$;
exception when others then
  raise warning 'memoria: nobody may follow events: %', sqlerrm;
end
$$;
