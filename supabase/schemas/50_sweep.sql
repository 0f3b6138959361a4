-- The sweeper: it only repairs, and hands out what has become due. It works event by event under the
-- event's lock, as everyone else does; an event that is locked is left for the next sweep.

create table memoria.sweeps (
  only_one boolean primary key default true,
  swept_at timestamptz not null default '-infinity',
  -- why pg_cron could not be told to sweep, or null
  schedule_error text,
  constraint sweeps_is_one_row check (only_one)
);
insert into memoria.sweeps default values;
alter table memoria.sweeps enable row level security;

create function memoria.as_jsonb(p_text text) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return p_text::jsonb;
exception when others then
  return null;
end
$$;

-- Jobs whose own nudge a function of ours has answered with 400 or 413: another would be answered the
-- same. Only our own error body counts, and only for the request of that job and its time: ids of
-- requests start anew after a crash.
create function memoria.refused_nudges()
returns table (job_id uuid, event_id text, nudge_id bigint, code text, message text)
language plpgsql stable set search_path = '' as $$
begin
  if to_regclass('net._http_response') is null then
    return;
  end if;
  return query execute $query$
    select sent.job_id, sent.event_id, sent.id, body #>> '{error,code}', left(body #>> '{error,message}', 1000)
    from (
      select distinct on (dispatches.job_id) dispatches.*
      from memoria.jobs join memoria.dispatches on dispatches.job_id = jobs.id
      where jobs.status = 'dispatched' order by dispatches.job_id, dispatches.id desc
    ) as sent
    join net._http_response as answer on answer.id = sent.request_id
      and answer.created between sent.created_at - interval '1 second' and sent.created_at + interval '10 minutes'
    cross join lateral memoria.as_jsonb(answer.content) as body
    where answer.created > clock_timestamp() - interval '20 minutes'
      and (answer.status_code, body #>> '{error,code}') in ((400, 'invalid_request'), (413, 'body_too_large'))
      and jsonb_typeof(body #> '{error,message}') = 'string'
      and body - 'error' = '{}' and (body -> 'error') - 'code' - 'message' = '{}'
  $query$;
end
$$;

-- Jobs that an outage outlasted, of a kind that has succeeded since: each is revived once. A thousand of a
-- kind in one sweep, the oldest first: one that never ends in its time would revive nobody.
create function memoria.revivable_jobs() returns table (job_id uuid, event_id text)
language sql stable set search_path = '' as $$
  select dead.id, dead.event_id
  from unnest(array['process', 'cluster', 'callback']) as one (kind)
  cross join lateral (
    select max(finished_at) as at from memoria.jobs where jobs.kind = one.kind and status = 'completed'
  ) as success
  cross join lateral (
    select jobs.id, jobs.event_id from memoria.jobs join memoria.events on events.id = jobs.event_id
    where jobs.kind = one.kind and jobs.status = 'failed' and waiting_since is not null and not revived
      and finished_at < success.at and (events.status = 'open' or jobs.kind = 'callback')
    order by finished_at limit 1000
  ) as dead
$$;

-- Whether a dead job's work is still to be done: no other job did it since, or does.
create function memoria.is_undone(p_job memoria.jobs) returns boolean
language sql stable set search_path = '' as $$
  select case p_job.kind
    when 'process' then not exists (
      select from memoria.jobs as other
      where other.id <> p_job.id and other.kind = 'process' and other.media_id = p_job.media_id
        and (other.status in ('queued', 'dispatched', 'running') or other.finished_at > p_job.finished_at)
    )
    when 'cluster' then not exists (
      select from memoria.jobs as other
      where other.id <> p_job.id and other.kind = 'cluster' and other.event_id = p_job.event_id
        and (other.status in ('queued', 'dispatched', 'running') or other.finished_at > p_job.finished_at)
    )
    else true
  end
$$;

-- Queues a dead job anew with all its attempts, unless another did its work since, or does. The event is
-- locked and open, or it is a callback.
create function memoria.revive_job(p_job_id uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  -- by its key alone: without statistics a plan would look for it among all that failed
  select * into v_job from memoria.jobs where id = p_job_id for no key update;
  if v_job.id is null or v_job.status <> 'failed' or not memoria.is_undone(v_job) then
    return false;
  end if;
  update memoria.jobs set
    status = 'queued', attempts = 0, deaths = 0, waits = 0, waiting_since = null,
    run_after = clock_timestamp(), finished_at = null,
    no_later_than = case when kind = 'cluster' then '-infinity'::timestamptz end
  where id = p_job_id;
  if v_job.kind = 'process' then
    -- one that was done stays done where only a drawn face is to be read
    update memoria.media set status = 'pending', completed_at = null, error_code = null, error_message = null
    where id = v_job.media_id and status = 'failed';
    perform memoria.touch_photos(v_job.event_id);
  end if;
  return true;
end
$$;

-- Events with photos without a job: restored from a dump, or inserted while triggers were off. Each photo's job is
-- looked up by its key: without statistics (just after a large upload) a join compares all with all.
create function memoria.events_without_jobs() returns table (event_id text)
language sql stable set search_path = '' as $$
  select distinct media.event_id
  from memoria.media join memoria.events on events.id = media.event_id
  where media.status = 'pending' and events.status = 'open' and not exists (
    select from memoria.jobs
    where jobs.media_id = media.id and kind = 'process' and jobs.status in ('queued', 'dispatched', 'running')
    offset 0
  )
$$;

-- Ends the attempts of an event's workers that fell silent, and takes back nudges that nobody claimed.
-- The event is locked.
create function memoria.end_leases(p_event_id text, out runs integer, out nudges integer)
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  runs := 0;
  for v_job in
    select * from memoria.jobs
    where event_id = p_event_id and status = 'running' and leased_until < clock_timestamp()
    order by id for no key update skip locked
  loop
    perform memoria.fail_job(v_job, 'lease_expired', 'The worker fell silent.', 'death', true);
    runs := runs + 1;
  end loop;
  -- the nudge was lost: nobody claimed, so nothing is counted
  update memoria.jobs set status = 'queued', leased_until = null
  where id in (
    select id from memoria.jobs
    where event_id = p_event_id and status = 'dispatched' and leased_until < clock_timestamp()
    order by id for no key update skip locked
  );
  get diagnostics nudges = row_count;
end
$$;

-- An event may be archived while a photo is on its way in. The event is locked.
create function memoria.end_archived(p_event_id text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  if not exists (select from memoria.events where id = p_event_id and status = 'archived') then
    return 0;
  end if;
  update memoria.jobs
  set status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where id in (
    select id from memoria.jobs
    where event_id = p_event_id and kind <> 'callback' and status in ('queued', 'dispatched', 'running')
    order by id for no key update skip locked
  );
  get diagnostics v_count = row_count;
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and status = 'pending';
  perform memoria.tell_progress(p_event_id);
  return v_count;
end
$$;

-- Everything that one event needs. Returns what was done, by name. p_refused, p_revivable: as memoria.repairs lists them.
create function memoria.repair_event(p_event_id text, p_refused jsonb, p_revivable uuid[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ended record;
  v_refused record;
  v_job memoria.jobs;
  v_dead uuid;
  v_open constant boolean := (select status = 'open' from memoria.events where id = p_event_id);
  v_refusals integer := 0;
  v_found integer;
  v_revived integer := 0;
begin
  for v_refused in
    select * from jsonb_to_recordset(p_refused) as (job_id uuid, nudge_id bigint, code text, message text)
  loop
    select * into v_job from memoria.jobs
    where id = v_refused.job_id and status = 'dispatched' for no key update skip locked;
    continue when not found or exists (
      -- another nudge is on its way since
      select from memoria.dispatches where job_id = v_refused.job_id and id > v_refused.nudge_id
    );
    v_job.waiting_since := null;
    perform memoria.bury_job(v_job, v_refused.code, v_refused.message, true);
    v_refusals := v_refusals + 1;
  end loop;
  select * into v_ended from memoria.end_leases(p_event_id);
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media
  where event_id = p_event_id and status = 'pending' and v_open
    and not exists (
      select from memoria.jobs
      where jobs.media_id = media.id and kind = 'process' and jobs.status in ('queued', 'dispatched', 'running')
      offset 0
    )
  on conflict do nothing;
  get diagnostics v_found = row_count;
  foreach v_dead in array p_revivable loop
    select * into v_job from memoria.jobs where id = v_dead for no key update;
    continue when v_job.revived or v_job.status <> 'failed' or not (v_open or v_job.kind = 'callback');
    -- once, whether or not there is something left to do
    update memoria.jobs set revived = true where id = v_dead;
    v_revived := v_revived + memoria.revive_job(v_dead)::integer;
  end loop;
  return jsonb_build_object(
    'refused', v_refusals, 'runs_expired', v_ended.runs, 'nudges_expired', v_ended.nudges,
    'media_found', v_found, 'revived', v_revived, 'cancelled', memoria.end_archived(p_event_id)
  );
end
$$;

-- Events that something is to be repaired in, in the order in which they are locked. What is asked of all
-- events at once is asked here, once a sweep, and handed over event by event.
create function memoria.repairs() returns table (event_id text, refused jsonb, revivable uuid[])
language sql stable set search_path = '' as $$
  with refused as (
    select event_id, jsonb_agg(to_jsonb(nudge) - 'event_id') as nudges
    from memoria.refused_nudges() as nudge group by event_id
  ), revivable as (
    select event_id, array_agg(job_id order by job_id) as jobs from memoria.revivable_jobs() group by event_id
  ), broken as (
    select event_id from memoria.jobs
    where status in ('dispatched', 'running') and leased_until < clock_timestamp()
      and kind in ('process', 'cluster', 'callback')
    union
    select event_id from refused
    union
    select event_id from memoria.events_without_jobs()
    union
    select event_id from revivable
    union
    select events.id from memoria.events
    where events.status = 'archived' and (
      exists (select from memoria.media where event_id = events.id and status = 'pending')
      or exists (
        select from memoria.jobs
        where event_id = events.id and kind in ('process', 'cluster') and status in ('queued', 'dispatched', 'running')
      )
    )
    order by event_id limit 1000
  )
  select event_id, coalesce(refused.nudges, '[]'), coalesce(revivable.jobs, '{}')
  from broken left join refused using (event_id) left join revivable using (event_id)
  order by event_id
$$;

-- What is queued in lanes that the dispatcher does not know of: a crash empties unlogged tables.
create function memoria.find_arrivals() returns void
language sql set search_path = '' as $$
  insert into memoria.arrivals (kind, waiting, event_id, due_at)
  with recursive queued as (
    (select kind, event_id from memoria.jobs where status = 'queued' order by kind, event_id limit 1)
    union all
    select next.kind, next.event_id from queued, lateral (
      select kind, event_id from memoria.jobs
      where status = 'queued' and (kind, event_id) > (queued.kind, queued.event_id)
      order by kind, event_id limit 1
    ) as next
  )
  select queued.kind, side.waiting, queued.event_id, first.run_after
  from queued, (values (false), (true)) as side (waiting), lateral (
    select run_after from memoria.jobs
    where kind = queued.kind and event_id = queued.event_id and status = 'queued'
      and jobs.waiting = side.waiting
    order by run_after limit 1
  ) as first
  where not exists (
    select from memoria.lanes
    where kind = queued.kind and event_id = queued.event_id and waiting = side.waiting
      and (ready or due_at <= first.run_after or due_at > clock_timestamp() and due_at < 'infinity')
  )
$$;

create function memoria.prune_dispatches() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
  v_horizon timestamptz := clock_timestamp()
    - make_interval(secs => memoria.number('keep_dispatches_hours')::double precision * 3600);
begin
  delete from memoria.dispatches where id in (
    select id from memoria.dispatches where created_at < v_horizon order by created_at limit 10000
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- Lanes of events that are gone. The dispatcher is locked.
create function memoria.prune_lanes() returns void
language sql set search_path = '' as $$
  delete from memoria.lanes where not exists (select from memoria.events where id = lanes.event_id);
  delete from memoria.owners where not ready and not exists (
    select from memoria.lanes
    where kind = owners.kind and waiting = owners.waiting and lanes.owner = owners.owner
  );
$$;

-- Repairs what got lost and hands out what has become due; safe to run at any time, by anyone, twice.
create function public.memoria_sweep() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
set jit = off
as $$
declare
  v_event record;
  v_handed_over integer;
  v_report jsonb := '{"refused": 0, "runs_expired": 0, "nudges_expired": 0, "media_found": 0, "revived": 0, "cancelled": 0}';
  v_done jsonb;
begin
  update memoria.sweeps set swept_at = clock_timestamp() where only_one in (
    select only_one from memoria.sweeps for no key update skip locked
  );
  -- this waits for events: while none is held
  v_handed_over := memoria.retry_hand_overs();
  for v_event in select * from memoria.repairs() loop
    perform from memoria.events where id = v_event.event_id for no key update skip locked;
    continue when not found;
    begin
      v_done := memoria.repair_event(v_event.event_id, v_event.refused, v_event.revivable);
    exception when others then
      raise warning 'event % could not be repaired: %', v_event.event_id, sqlerrm;
      continue;
    end;
    v_report := (
      select jsonb_object_agg(key, value::integer + (v_done ->> key)::integer) from jsonb_each_text(v_report)
    );
  end loop;
  v_report := v_report || jsonb_build_object(
    'handed_over', v_handed_over, 'dispatches_pruned', memoria.prune_dispatches()
  );
  begin
    perform memoria.archive_one_due();
  exception when others then
    raise warning 'no event could be archived: %', sqlerrm;
  end;
  perform memoria.prune_searches();
  perform memoria.prune_changes();
  perform memoria.find_arrivals();
  v_report := v_report || jsonb_build_object('dispatched', jsonb_build_object(
    'process', memoria.dispatch('process'),
    'cluster', memoria.dispatch('cluster'),
    'callback', memoria.dispatch('callback')
  ));
  if current_setting('transaction_isolation') = 'read committed' then
    perform memoria.prune_lanes();
  end if;
  return v_report;
end
$$;

-- For workers, after their answer: hands out what has become due, and sweeps where nobody has for a
-- while, so that neither the end of a quiet period nor a missing cron is waited for. again_in_seconds:
-- when something is due next, if soon.
create function public.memoria_sweep_if_due() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
set enable_seqscan = off
set jit = off
as $$
declare
  v_kind text;
  v_swept boolean := false;
  v_sent integer := 0;
  v_next timestamptz;
begin
  perform from memoria.sweeps
  where only_one and swept_at < clock_timestamp() - memoria.seconds('sweep_seconds')
  for no key update skip locked;
  if found then
    perform public.memoria_sweep();
    v_swept := true;
  else
    foreach v_kind in array array['process', 'cluster', 'callback'] loop
      if exists (select from memoria.lanes where kind = v_kind and not ready and due_at <= clock_timestamp()) then
        v_sent := v_sent + memoria.dispatch(v_kind);
      end if;
    end loop;
  end if;
  select min(first.due_at) into v_next
  from unnest(array['process', 'cluster', 'callback']) as one (kind), lateral (
    select due_at from memoria.lanes where kind = one.kind and not ready order by due_at limit 1
  ) as first;
  return jsonb_build_object(
    'swept', v_swept, 'dispatched', v_sent,
    'again_in_seconds', case when v_next < clock_timestamp() + interval '2 minutes' then
      round(greatest(extract(epoch from v_next - clock_timestamp()), 0)::numeric, 3)
    end
  );
end
$$;
