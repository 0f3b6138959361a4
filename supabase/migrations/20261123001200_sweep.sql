-- The sweeper: it only repairs, and hands out what has become due.

create function memoria.requeue_expired_dispatches() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  -- the nudge was lost: nobody claimed, so no attempt is counted
  update memoria.jobs set status = 'queued', leased_until = null
  where id in (
    select id from memoria.jobs
    where status = 'dispatched' and leased_until < clock_timestamp()
    for no key update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- Ends the attempts of workers that fell silent. Whoever is locked is left for the next sweep.
create function memoria.fail_expired_runs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_expired record;
  v_job memoria.jobs;
  v_count integer := 0;
begin
  for v_expired in
    select id, event_id from memoria.jobs
    where status = 'running' and leased_until < clock_timestamp() order by event_id, id limit 1000
  loop
    perform from memoria.events where id = v_expired.event_id for no key update skip locked;
    continue when not found;
    select * into v_job from memoria.jobs
    where id = v_expired.id and status = 'running' and leased_until < clock_timestamp()
    for no key update skip locked;
    continue when not found;
    perform memoria.fail_job(v_job, 'lease_expired', 'The worker fell silent.', false, true);
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;

-- Photos without a job: restored from a dump, or inserted while triggers were off.
create function memoria.queue_forgotten_media() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', media.event_id, media.id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media join memoria.events on events.id = media.event_id
  where media.status = 'pending' and events.status = 'open' and not exists (
    select from memoria.jobs
    where media_id = media.id and kind = 'process' and jobs.status in ('queued', 'dispatched', 'running')
  )
  on conflict do nothing;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- An event may be archived while a photo is on its way in.
create function memoria.cancel_archived_jobs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  update memoria.jobs
  set status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where id in (
    select jobs.id from memoria.jobs join memoria.events on events.id = jobs.event_id
    where events.status = 'archived' and jobs.status in ('queued', 'dispatched', 'running')
    for no key update of jobs skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

create function memoria.prune_dispatches() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
  v_horizon timestamptz := clock_timestamp()
    - make_interval(hours => (memoria.setting('keep_dispatches_hours') #>> '{}')::integer);
begin
  delete from memoria.dispatches where id in (
    select id from memoria.dispatches where created_at < v_horizon order by created_at limit 10000
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- Repairs what got lost and hands out what has become due; safe to run at any time, by anyone, twice.
create function public.memoria_sweep() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_report jsonb;
begin
  v_report := jsonb_build_object('cancelled', memoria.cancel_archived_jobs());
  v_report := v_report || jsonb_build_object('runs_expired', memoria.fail_expired_runs());
  v_report := v_report || jsonb_build_object('nudges_expired', memoria.requeue_expired_dispatches());
  v_report := v_report || jsonb_build_object('media_found', memoria.queue_forgotten_media());
  v_report := v_report || jsonb_build_object('dispatches_pruned', memoria.prune_dispatches());
  return v_report || jsonb_build_object('dispatched', jsonb_build_object(
    'process', memoria.dispatch('process'),
    'cluster', memoria.dispatch('cluster'),
    'callback', memoria.dispatch('callback')
  ));
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function public.memoria_sweep() from public, anon, authenticated;
grant execute on function public.memoria_sweep() to service_role;
